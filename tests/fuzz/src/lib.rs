//! The fuzz targets.
//!
//! Every target uses the public API: a layer, a request, a response, and the recorded span. The span is
//! compared with a second, naive implementation of the rules. On stable Rust `cargo test` replays all
//! committed inputs.

pub mod body;
mod exchange;
#[path = "../../it/propagators/formats.rs"]
#[allow(unused, reason = "the tests use more of it")]
mod formats;
pub mod forwarded;
pub mod grpc;
mod input;
pub mod llm_request;
pub mod llm_stream;
#[path = "../../oracle/mod.rs"]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the oracle fails on what it does not expect"
)]
pub mod oracle;
pub mod propagation;
pub mod query;
mod recorder;
mod sampler;
pub mod traceparent;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// A target: its name, and its function, which panics if an input breaks a rule.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("body", body::run),
    ("forwarded", forwarded::run),
    ("grpc", grpc::run),
    ("llm_request", llm_request::run),
    ("llm_stream", llm_stream::run),
    ("propagation", propagation::run),
    ("query", query::run),
    ("traceparent", traceparent::run),
];

/// Defines the entry point of a target: that of libFuzzer under `cargo fuzz`, else a `main` that plays the
/// files in its arguments.
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
