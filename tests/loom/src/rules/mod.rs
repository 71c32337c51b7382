//! The rules, one file for each shared object.

mod global_meter;
mod global_tracer;
mod latest_lookup;
mod learnt_methods;
mod lookup_schedule;
mod requests;
mod shared_span;

use crate::explore::Rule;

pub fn all() -> impl Iterator<Item = &'static Rule> {
    [
        shared_span::RULES,
        requests::RULES,
        lookup_schedule::RULES,
        latest_lookup::RULES,
        learnt_methods::RULES,
        global_tracer::RULES,
        global_meter::RULES,
    ]
    .into_iter()
    .flatten()
}
