//! The choices of one JSON object, or the candidates of Gemini.

/// The limit on choices whose finish reasons are kept.
pub(super) const MAX_CHOICES: usize = 128;

/// The choices, or candidates.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// Whether they are candidates.
    pub(super) of_gemini: bool,
    /// The finish reasons, with the choice's index.
    pub(super) reasons: Vec<(u64, Box<str>)>,
    /// A bit for each choice up to 63 that was seen.
    pub(super) seen: u64,
    /// How many elements were read.
    position: u64,
    pub(super) index: Option<u64>,
    pub(super) reason: Option<Box<str>>,
}

impl Choices {
    pub(super) fn of(of_gemini: bool) -> Self {
        Self {
            of_gemini,
            ..Self::default()
        }
    }

    /// Whether a choice has stopped because the engine or the service has failed.
    pub(super) fn have_failed(&self) -> bool {
        let mut reasons = self.reasons.iter();
        reasons.any(|(_, reason)| {
            matches!(
                &**reason,
                "error" | "abort" | "insufficient_system_resource"
            )
        })
    }

    pub(super) fn begin(&mut self) {
        (self.index, self.reason) = (None, None);
    }

    pub(super) fn end(&mut self) {
        let index = self.index.unwrap_or(self.position);
        self.position += 1;
        self.seen |= bit(index);
        if let Some(reason) = self.reason.take()
            && self.reasons.len() < MAX_CHOICES
        {
            self.reasons.push((index, reason));
        }
    }
}

/// Returns the bit of a choice. The choices after the 64th share the last one.
pub(super) fn bit(index: u64) -> u64 {
    1 << index.min(63)
}
