#![cfg_attr(fuzzing, no_main)]

fuzz::main!(fuzz::propagation::run);
