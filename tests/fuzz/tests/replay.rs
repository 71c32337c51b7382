//! The replay of all committed inputs on stable Rust: the seeds, and the inputs that once failed.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use fuzz::TARGETS;

#[test]
fn committed_inputs_break_no_rule() {
    let mut failed = Vec::new();
    for (target, run) in TARGETS {
        let [seeds, regressions] = ["seeds", "regressions"].map(|folder| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(folder)
                .join(target);
            let mut inputs = 0;
            // A target can have no regressions.
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
        println!("{target}: {seeds} seeds and {regressions} regressions replayed");
        assert!(seeds > 0, "{target} has no seeds");
    }
    assert!(failed.is_empty(), "these inputs break a rule: {failed:#?}");
}
