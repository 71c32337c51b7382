#![cfg_attr(fuzzing, no_main)]

fuzz::main!(fuzz::query::run);
