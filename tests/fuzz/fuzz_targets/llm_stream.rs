#![cfg_attr(fuzzing, no_main)]

fuzz::main!(fuzz::llm_stream::run);
