//! The order of the reloads.

/// A change of the global providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// To new providers. The old ones are shut down when their requests have ended.
    Drained,
    /// To new providers. The old ones are shut down at once, also with open streams.
    AtOnce,
    /// The same providers are set again.
    Same,
    /// To the API's no-op.
    NoOp,
    /// The providers are shut down, and remain set.
    ShutDown,
}

/// A part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Change(Change),
    /// So many requests, without simulated time between them.
    Requests(u64),
    /// A second of the system's clock. The next request must use the providers set before.
    Wait,
}

/// What happens after an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Drained,
    AtOnce,
    Same,
    /// To new providers, and a second later.
    AfterASecond,
    /// To the no-op. The next step sets new providers.
    NoOp,
    /// To the no-op and back within a few requests.
    NoOpAndBack,
    /// Five reloads with a few requests between them.
    Burst,
    /// The providers are shut down, and replaced 200 requests later.
    ShutDownFirst,
}

/// The steps of a round, of seven and a half minutes.
pub(crate) const PLAN: &[Step] = &[
    Step::Drained,
    Step::AtOnce,
    Step::Drained,
    Step::Same,
    Step::AfterASecond,
    Step::NoOp,
    Step::Drained,
    Step::Drained,
    Step::Burst,
    Step::AtOnce,
    Step::NoOpAndBack,
    Step::Drained,
    Step::ShutDownFirst,
    Step::Drained,
    Step::Same,
];

impl Step {
    pub(crate) fn parts(self) -> &'static [Part] {
        use Part::{Change as Set, Requests, Wait};

        match self {
            Self::Drained => &[Set(Change::Drained)],
            Self::AtOnce => &[Set(Change::AtOnce)],
            Self::Same => &[Set(Change::Same)],
            Self::AfterASecond => &[Set(Change::Drained), Wait],
            Self::NoOp => &[Set(Change::NoOp)],
            Self::NoOpAndBack => &[Set(Change::NoOp), Requests(50), Set(Change::Drained)],
            Self::Burst => &[
                Set(Change::Drained),
                Requests(100),
                Set(Change::Drained),
                Set(Change::Drained),
                Requests(7),
                Set(Change::AtOnce),
                Requests(300),
                Set(Change::Drained),
            ],
            Self::ShutDownFirst => &[Set(Change::ShutDown), Requests(200), Set(Change::Drained)],
        }
    }

    /// Returns the largest number of requests that the parts make beside the interval's, without those during changes.
    pub(crate) fn requests(self) -> u64 {
        let requests = self.parts().iter().map(|part| match part {
            Part::Requests(requests) => *requests,
            Part::Change(_) | Part::Wait => 0,
        });
        requests.sum()
    }
}
