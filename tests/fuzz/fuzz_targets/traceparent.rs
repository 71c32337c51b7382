#![cfg_attr(fuzzing, no_main)]

fuzz::main!(fuzz::traceparent::run);
