//! The tests of `tower-api-span` that see it from outside, in one binary.
#![allow(
    unreachable_pub,
    reason = "support is a module of this binary, and `pub` says what it is for"
)]

mod states;
mod support;
