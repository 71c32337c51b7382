//! The rules.

mod finding;
mod meters;
mod requests;
mod schedule;
mod slot;

use crate::explore::Rule;

pub fn all() -> impl Iterator<Item = &'static Rule> {
    [
        slot::RULES,
        requests::RULES,
        schedule::RULES,
        finding::RULES,
        meters::RULES,
    ]
    .into_iter()
    .flatten()
}
