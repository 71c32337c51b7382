//! A rung of a ladder: sends requests and checks the responses and the number of spans.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use http::Request;
use http_body::Body;

use super::Ends;
use super::services::{Answers, Read, head, read};

/// The number of requests that are built before they are timed. A larger batch would not fit the cache.
const BATCH: u64 = 64;

/// The minimal duration of a measurement. In shorter ones the clock and the first requests dominate.
const MIN_ELAPSED: Duration = Duration::from_micros(200);

pub(crate) struct Rung {
    pub(crate) name: &'static str,
    request: Box<dyn Fn() -> Request<()>>,
    send: Box<dyn FnMut(Request<()>)>,
    /// The counter of this rung's spans, and the expected number per request.
    ends: Option<(Ends, u64)>,
    sent: u64,
    /// Seconds per request in the best measurement.
    best: Option<f64>,
}

impl Rung {
    /// Returns a rung whose service answers with `expected`.
    pub(crate) fn new<B>(
        name: &'static str,
        request: impl Fn() -> Request<()> + 'static,
        mut service: impl Answers<B> + 'static,
        expected: Read,
    ) -> Self
    where
        B: Body<Data = Bytes, Error = Infallible> + 'static,
    {
        let send = move |request| read(head(&mut service, request).into_body());
        Self::from_sender(name, request, send, expected)
    }

    /// Returns a rung that sends with a function instead of a service.
    pub(crate) fn from_sender(
        name: &'static str,
        request: impl Fn() -> Request<()> + 'static,
        mut send: impl FnMut(Request<()>) -> Read + 'static,
        expected: Read,
    ) -> Self {
        Self {
            name,
            request: Box::new(request),
            send: Box::new(move |request| assert_eq!(send(request), expected)),
            ends: None,
            sent: 0,
            best: None,
        }
    }

    /// Expects one span per request, counted by `ends`.
    pub(crate) fn expects_one_span(mut self, ends: Ends) -> Self {
        self.ends = Some((ends, 1));
        self
    }

    /// Expects no spans in `ends`.
    pub(crate) fn expects_no_span(mut self, ends: Ends) -> Self {
        self.ends = Some((ends, 0));
        self
    }

    /// Runs the rung with criterion.
    pub(crate) fn bench(&mut self, group: &mut BenchmarkGroup<'_, WallTime>) {
        group.bench_function(self.name, |bencher| {
            bencher.iter_custom(|requests| self.time(requests));
        });
        self.check();
    }

    /// Returns the time of `requests` requests, without the time to build them.
    pub(crate) fn time(&mut self, requests: u64) -> Duration {
        let mut elapsed = Duration::ZERO;
        let mut left = requests;
        while left > 0 {
            let size = left.min(BATCH);
            let batch: Vec<_> = (0..size).map(|_| (self.request)()).collect();
            let start = Instant::now();
            batch.into_iter().for_each(&mut *self.send);
            elapsed += start.elapsed();
            left -= size;
        }
        self.sent += requests;
        if elapsed >= MIN_ELAPSED {
            #[expect(clippy::cast_precision_loss, reason = "far from 2^52 requests")]
            let one = elapsed.as_secs_f64() / requests as f64;
            self.best = Some(self.best.map_or(one, |best| best.min(one)));
        }
        elapsed
    }

    /// Builds one request, and sends it inside `within`.
    pub(crate) fn send_one<T>(&mut self, within: impl FnOnce(&mut dyn FnMut()) -> T) -> T {
        let mut request = Some((self.request)());
        self.sent += 1;
        within(&mut || (self.send)(request.take().expect("one request")))
    }

    /// Asserts the number of ended spans.
    pub(crate) fn check(&self) {
        if let Some((ends, per_request)) = &self.ends {
            assert_eq!(
                ends.count(),
                self.sent * per_request,
                "{}: spans",
                self.name
            );
        }
    }

    /// Returns the seconds per request in the best measurement.
    pub(crate) fn best(&self) -> Option<f64> {
        self.best
    }

    /// Returns the ratio of the best times to those of `bare`.
    pub(crate) fn ratio(&self, bare: &Self) -> Option<f64> {
        Some(self.best? / bare.best?)
    }
}
