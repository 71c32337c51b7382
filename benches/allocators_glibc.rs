//! Measures recording with the system's allocator, with spans freed on another core: see
//! `support/allocators.rs`.
//!
//! ```console
//! $ cargo bench --bench allocators_glibc --bench allocators_mimalloc
//! ```

mod support;

fn main() {
    support::allocators::main("the system's allocator");
}
