//! Measures recording with mimalloc, with spans freed on another core: see `support/allocators.rs`.
//!
//! ```console
//! $ cargo bench --bench allocators_glibc --bench allocators_mimalloc
//! ```

mod support;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    support::allocators::main("mimalloc");
}
