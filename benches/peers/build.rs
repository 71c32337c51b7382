//! Passes the compiler's version to the program.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").expect("cargo sets it");
    let version = Command::new(rustc).arg("--version").output();
    let version = version.expect("the compiler that cargo uses starts").stdout;
    let version = String::from_utf8(version).expect("a version is text");
    println!("cargo::rustc-env=RUSTC_VERSION={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
