//! Public bug reports of other projects, tried on the layer: `tests/reports.md` lists them.

mod gateways;
mod servers;
