//! All inputs that are kept, on whatever Rust there is: the seeds, and what was once found.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use fuzz::TARGETS;

#[test]
fn whatever_is_kept_holds() {
    let mut failed = Vec::new();
    for (target, run) in TARGETS {
        let [seeds, found] = ["seeds", "regressions"].map(|folder| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(folder)
                .join(target);
            let mut inputs = 0;
            // There need not be any regressions.
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                let input = fs::read(&path).expect("a file");
                if catch_unwind(|| run(&input)).is_err() {
                    failed.push(path);
                }
                inputs += 1;
            }
            inputs
        });
        println!("{target}: {seeds} seeds and {found} regressions replayed");
        assert!(seeds > 0, "{target} has no seeds");
    }
    assert!(failed.is_empty(), "a rule is broken by {failed:#?}");
}
