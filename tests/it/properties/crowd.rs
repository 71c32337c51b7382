//! Many requests at once on one thread, in any order, by a service and its clones: each ends once and
//! in its own way, and nothing of one is current in another or outside.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use proptest::collection::vec;
use proptest::prelude::*;
use tower::Service;
use tower_layer::Layer as _;

use super::actor::{Current, actor};
use super::config;
use super::core::{check, layer};
use super::oracle::Oracle;
use super::play::Play;
use super::script::{Act, Script};
use super::scripts::scripts;
use crate::support::body::Boom;
use crate::support::recorder::{Recorder, Seen};

proptest! {
    #![proptest_config(config(2_500))]

    #[test]
    fn requests_that_interleave_have_nothing_of_each_other(crowd in crowds()) {
        let at = Recorder::new();
        let service = layer(&at, crowd.is_llm).layer(actor());
        let plays = crowd.play(service, |script| vec![script.oracle()], |plays| {
            let ended = plays.iter().map(Play::ended).sum();
            assert_eq!((at.starts(), at.ends()), (plays.len(), ended));
        });
        let spans = Spans::of(&at);
        for (nr, play) in &plays {
            let inside = play.handler.current().expect("a call");
            let span = spans.find(inside.span.span_id());
            check(span, &play.oracles[0]);
            let (trace, parent) = crowd.caller(*nr);
            assert_eq!(span.0.parent_span_id, parent, "the parent of {nr}");
            if trace != TraceId::INVALID {
                assert_eq!(span.0.span_context.trace_id(), trace, "the trace of {nr}");
            }
        }
    }
}

/// Spans that have ended, looked over.
pub struct Spans(Vec<Seen>);

impl Spans {
    pub fn of(at: &Recorder) -> Self {
        Self(at.spans().into_iter().map(Seen).collect())
    }

    /// The only span of this id.
    pub fn find(&self, id: SpanId) -> &Seen {
        let mut all = self.0.iter();
        let mut found = all
            .by_ref()
            .filter(|span| span.0.span_context.span_id() == id);
        let span = found.next().expect("the span has ended");
        assert!(found.next().is_none(), "it has ended once");
        span
    }
}

/// Requests, and in which order what happens to them.
#[derive(Clone, Debug)]
pub struct Crowd {
    pub is_llm: bool,
    pub scripts: Vec<Member>,
    /// Whose turn it is. Who has not come yet comes; who has done all leaves.
    turns: Vec<usize>,
    /// A span and baggage of somebody's are current around all.
    is_inside: bool,
}

/// One of many.
#[derive(Clone, Debug)]
pub struct Member {
    script: Arc<Script>,
    /// By which of the services: the first, its clone, or the clone's clone.
    service: usize,
    /// There is a caller with a trace of its own.
    is_called: bool,
}

/// Of two layers the outer one is told its own.
pub fn crowds() -> impl Strategy<Value = Crowd> {
    (
        any::<bool>(),
        vec((scripts(), 0..3_usize, any::<bool>()), 1..6),
        vec(any::<usize>(), 0..60),
        any::<bool>(),
    )
        .prop_map(|(is_llm, scripts, turns, is_inside)| Crowd {
            is_llm,
            scripts: scripts
                .into_iter()
                .map(|(script, service, is_called)| Member {
                    script: Arc::new(Script { is_llm, ..script }),
                    service,
                    is_called,
                })
                .collect(),
            turns,
            is_inside,
        })
}

impl Crowd {
    /// The trace and the span that the request of this number comes from.
    pub fn caller(&self, nr: usize) -> (TraceId, SpanId) {
        if self.scripts[nr].is_called {
            (TraceId::from(nr as u128 + 1), SpanId::from(nr as u64 + 1))
        } else if self.is_inside {
            (TraceId::from(77), SpanId::from(77))
        } else {
            (TraceId::INVALID, SpanId::INVALID)
        }
    }

    fn around(&self) -> Context {
        if !self.is_inside {
            return Context::new();
        }
        let (trace, span) = (TraceId::from(77), SpanId::from(77));
        let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE);
        Context::new()
            .with_remote_span_context(span)
            .with_baggage([KeyValue::new("id", "around")])
    }

    /// Its own baggage has each, and some have a caller.
    fn request(&self, nr: usize) -> Request<()> {
        let mut request = self.scripts[nr].script.request();
        let mut set = |name: &'static str, value: String| {
            let value = HeaderValue::try_from(value).expect("a value");
            request.headers_mut().insert(name, value);
        };
        set("baggage", format!("id={nr}"));
        if self.scripts[nr].is_called {
            let (trace, span) = self.caller(nr);
            set("traceparent", format!("00-{trace}-{span}-01"));
        }
        request
    }

    /// Plays all, with `look` after each step, and returns them by their number.
    pub fn play<S, B>(
        &self,
        service: S,
        oracles: impl Fn(&Script) -> Vec<Oracle>,
        look: impl Fn(&[Play<B>]),
    ) -> Vec<(usize, Play<B>)>
    where
        S: Service<Request<()>, Response = Response<B>, Error = Boom> + Clone,
        S::Future: 'static,
        B: Body<Data = Bytes, Error = Boom> + Unpin,
    {
        let _around = self.around().attach();
        let outside = Current::here();
        let clone = service.clone();
        let mut services = [service, clone.clone(), clone];
        let mut acts: Vec<VecDeque<_>> = self
            .scripts
            .iter()
            .map(|member| member.script.acts.iter().collect())
            .collect();
        let (mut numbers, mut plays) = (Vec::new(), Vec::new());
        // At last each comes, if it has not yet, and leaves.
        let members = self.scripts.len();
        let turns = self.turns.iter().map(|turn| (turn % members, false));
        let last = (0..members).flat_map(|nr| [(nr, true), (nr, true)]);
        for (nr, is_last) in turns.chain(last) {
            if let Some(at) = numbers.iter().position(|known| *known == nr) {
                let act = acts[nr].pop_front().filter(|_| !is_last);
                let play: &mut Play<B> = &mut plays[at];
                play.act(act.unwrap_or(&Act::Drop));
            } else {
                let Member {
                    script, service, ..
                } = &self.scripts[nr];
                let service = &mut services[*service];
                let play = Play::open(service, script, oracles(script), self.request(nr));
                let inside = play.handler.current().expect("a call");
                assert_eq!(inside.id, Some(nr.to_string()), "the baggage inside");
                numbers.push(nr);
                plays.push(play);
            }
            assert_eq!(Current::here(), outside, "current outside");
            look(&plays);
        }
        assert!(plays.iter().all(Play::is_over));
        for play in &plays {
            play.look_back();
        }
        look(&plays);
        numbers.into_iter().zip(plays).collect()
    }
}
