//! A rung of a ladder: what sends one request, and what must have come of it.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use http::Request;
use http_body::Body;

use super::Ends;
use super::services::{Answers, Read, head, read};

/// How many requests are made before they are timed. More, and what is timed is the cache.
const BATCH: u64 = 64;

/// A shorter time says nothing: the clock and the first requests are too much of it.
const ENOUGH: Duration = Duration::from_micros(200);

pub(crate) struct Rung {
    pub(crate) name: &'static str,
    request: Box<dyn Fn() -> Request<()>>,
    send: Box<dyn FnMut(Request<()>)>,
    /// The spans of this rung alone, and how many a request has.
    ends: Option<(Ends, u64)>,
    sent: u64,
    /// Seconds for one request, in the best of all measurements.
    best: Option<f64>,
}

impl Rung {
    /// A rung whose service answers with `expected`.
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
        Self::sending(name, request, send, expected)
    }

    /// A rung without a service.
    pub(crate) fn sending(
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

    /// One span ends with each request. `ends` counts those of this rung alone.
    pub(crate) fn recording(mut self, ends: Ends) -> Self {
        self.ends = Some((ends, 1));
        self
    }

    /// There is who would count spans, and there are none.
    pub(crate) fn silent(mut self, ends: Ends) -> Self {
        self.ends = Some((ends, 0));
        self
    }

    /// Lets criterion time it.
    pub(crate) fn bench(&mut self, group: &mut BenchmarkGroup<'_, WallTime>) {
        group.bench_function(self.name, |bencher| {
            bencher.iter_custom(|requests| self.time(requests));
        });
        self.check();
    }

    /// The time that so many requests take, without the time to make them.
    pub(crate) fn time(&mut self, requests: u64) -> Duration {
        let mut elapsed = Duration::ZERO;
        let mut left = requests;
        while left > 0 {
            let few = left.min(BATCH);
            let batch: Vec<_> = (0..few).map(|_| (self.request)()).collect();
            let start = Instant::now();
            batch.into_iter().for_each(&mut *self.send);
            elapsed += start.elapsed();
            left -= few;
        }
        self.sent += requests;
        if elapsed >= ENOUGH {
            #[expect(clippy::cast_precision_loss, reason = "far from 2^52 requests")]
            let one = elapsed.as_secs_f64() / requests as f64;
            self.best = Some(self.best.map_or(one, |best| best.min(one)));
        }
        elapsed
    }

    /// One request, its making not in `within`.
    pub(crate) fn once<T>(&mut self, within: impl FnOnce(&mut dyn FnMut()) -> T) -> T {
        let mut request = Some((self.request)());
        self.sent += 1;
        within(&mut || (self.send)(request.take().expect("one request")))
    }

    /// Fails unless as many spans have ended as should.
    pub(crate) fn check(&self) {
        if let Some((ends, of_each)) = &self.ends {
            assert_eq!(ends.count(), self.sent * of_each, "{}: spans", self.name);
        }
    }

    /// Seconds for one request, in the best of all measurements.
    pub(crate) fn best(&self) -> Option<f64> {
        self.best
    }

    /// How much longer it takes than the bare one, at best.
    pub(crate) fn ratio(&self, bare: &Self) -> Option<f64> {
        Some(self.best? / bare.best?)
    }
}
