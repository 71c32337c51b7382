#![cfg_attr(fuzzing, no_main)]

fuzz::main!(fuzz::llm_request::run);
