#![cfg_attr(fuzzing, no_main)]

fuzz::main!(fuzz::sse::run);
