//! One application for each layer that a guide `docs/guide/coming_from_*.md` is about: with that layer, and with
//! `ApiSpanLayer` in its place. Both are sent the same requests. Each row of a guide's table of changes is what the
//! spans, the log and the metrics of the two show, and the code in a guide is the code of its application.

#![cfg(test)]

mod applications;
mod client;
mod comparison;
mod guide;
mod measures;
mod recording;
mod routes;
