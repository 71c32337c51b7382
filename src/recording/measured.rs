//! Which metrics of a request are recorded, so that a layer inside does not record them again.

/// The metrics that a layer, or one outside of it, records of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Measured {
    /// Those of HTTP and gRPC.
    pub(crate) server: bool,
    /// Those of language models.
    pub(crate) gen_ai: bool,
}

impl Measured {
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            server: self.server || other.server,
            gen_ai: self.gen_ai || other.gen_ai,
        }
    }
}
