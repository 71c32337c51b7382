//! What the fuzz targets do with their bytes.
//!
//! Every target goes through the public face: a layer, a request, a response, and the span that ended.
//! What must come of it is told by a second implementation, as naive as it can be. On stable Rust
//! `cargo test` replays all inputs that are kept.

pub mod body;
mod exchange;
pub mod forwarded;
pub mod grpc;
mod input;
#[path = "../../oracle/mod.rs"]
pub mod oracle;
pub mod query;
mod recorder;
pub mod sse;
pub mod traceparent;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// A target: its name, and what it does with an input. It panics if a rule is broken.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("body", body::run),
    ("forwarded", forwarded::run),
    ("grpc", grpc::run),
    ("query", query::run),
    ("sse", sse::run),
    ("traceparent", traceparent::run),
];

/// The entry of a target's program: libFuzzer's where `cargo fuzz` builds, else one that plays the files
/// it is given.
#[macro_export]
macro_rules! main {
    ($run:path) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $run(bytes));

        #[cfg(not(fuzzing))]
        fn main() {
            for path in std::env::args_os().skip(1) {
                $run(&std::fs::read(path).expect("a file"));
            }
        }
    };
}
