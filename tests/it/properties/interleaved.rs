//! Requests that interleave on one thread, on a service and its clones. Each span ends once and as its
//! oracle expects, and no request sees the context of another.

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

use super::config;
use super::handler::{Current, scripted_service};
use super::oracle::Oracle;
use super::play::Play;
use super::script::{Act, Script};
use super::single_request::{check, layer};
use super::strategies::scripts;
use crate::support::body::Boom;
use crate::support::recorder::{Recorder, Seen};

proptest! {
    #![proptest_config(config(2_500))]

    #[test]
    fn interleaved_requests_end_once_and_share_no_context(requests in interleavings()) {
        let at = Recorder::new();
        let service = layer(&at, requests.is_llm).layer(scripted_service());
        let plays = requests.play(service, |script| vec![script.oracle()], |plays| {
            let ended = plays.iter().map(Play::ended).sum();
            assert_eq!((at.starts(), at.ends()), (plays.len(), ended));
        });
        let spans = Spans::recorded(&at);
        for (nr, play) in &plays {
            let inside = play.handler.current().expect("a call");
            let span = spans.find(inside.span.span_id());
            check(span, &play.oracles[0]);
            let (trace, parent) = requests.parent(*nr);
            assert_eq!(span.0.parent_span_id, parent, "the parent of {nr}");
            if trace != TraceId::INVALID {
                assert_eq!(span.0.span_context.trace_id(), trace, "the trace of {nr}");
            }
        }
    }
}

/// Spans that have ended, each checked by its recorder.
pub struct Spans(Vec<Seen>);

impl Spans {
    pub fn recorded(at: &Recorder) -> Self {
        Self(at.spans().into_iter().map(Seen).collect())
    }

    /// Returns the span with this id. Panics unless there is exactly one.
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

/// Requests, and the order of their actions.
#[derive(Clone, Debug)]
pub struct Interleaving {
    pub is_llm: bool,
    requests: Vec<ScriptedRequest>,
    /// Indices of requests. The first turn of a request is its call, each further one its next action.
    turns: Vec<usize>,
    /// A span and baggage are current around all requests.
    has_surroundings: bool,
}

#[derive(Clone, Debug)]
struct ScriptedRequest {
    script: Arc<Script>,
    /// Which service is called: the first, its clone, or another clone.
    service: usize,
    /// The caller has a trace of its own.
    has_caller: bool,
}

pub fn interleavings() -> impl Strategy<Value = Interleaving> {
    (
        any::<bool>(),
        vec((scripts(), 0..3_usize, any::<bool>()), 1..6),
        vec(any::<usize>(), 0..60),
        any::<bool>(),
    )
        .prop_map(|(is_llm, requests, turns, has_surroundings)| Interleaving {
            is_llm,
            requests: requests
                .into_iter()
                .map(|(script, service, has_caller)| ScriptedRequest {
                    script: Arc::new(Script { is_llm, ..script }),
                    service,
                    has_caller,
                })
                .collect(),
            turns,
            has_surroundings,
        })
}

impl Interleaving {
    /// Returns the trace id and the span id of the parent of request `nr`.
    pub fn parent(&self, nr: usize) -> (TraceId, SpanId) {
        if self.requests[nr].has_caller {
            (TraceId::from(nr as u128 + 1), SpanId::from(nr as u64 + 1))
        } else if self.has_surroundings {
            (TraceId::from(77), SpanId::from(77))
        } else {
            (TraceId::INVALID, SpanId::INVALID)
        }
    }

    fn surroundings(&self) -> Context {
        if !self.has_surroundings {
            return Context::new();
        }
        let (trace, span) = (TraceId::from(77), SpanId::from(77));
        let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE);
        Context::new()
            .with_remote_span_context(span)
            .with_baggage([KeyValue::new("id", "around")])
    }

    /// Returns request `nr` with baggage of its own.
    fn request(&self, nr: usize) -> Request<()> {
        let mut request = self.requests[nr].script.request();
        let mut set = |name: &'static str, value: String| {
            let value = HeaderValue::try_from(value).expect("a value");
            request.headers_mut().insert(name, value);
        };
        set("baggage", format!("id={nr}"));
        if self.requests[nr].has_caller {
            let (trace, span) = self.parent(nr);
            set("traceparent", format!("00-{trace}-{span}-01"));
        }
        request
    }

    /// Plays all requests with a `check` after each step, and returns them with their indices.
    pub fn play<S, B>(
        &self,
        service: S,
        oracles: impl Fn(&Script) -> Vec<Oracle>,
        check: impl Fn(&[Play<B>]),
    ) -> Vec<(usize, Play<B>)>
    where
        S: Service<Request<()>, Response = Response<B>, Error = Boom> + Clone,
        S::Future: 'static,
        B: Body<Data = Bytes, Error = Boom> + Unpin,
    {
        let _surroundings = self.surroundings().attach();
        let outside = Current::here();
        let clone = service.clone();
        let mut services = [service, clone.clone(), clone];
        let mut acts: Vec<VecDeque<_>> = self
            .requests
            .iter()
            .map(|request| request.script.acts.iter().collect())
            .collect();
        let (mut numbers, mut plays) = (Vec::new(), Vec::new());
        // In the end each request is called, if it was not yet, and dropped.
        let count = self.requests.len();
        let turns = self.turns.iter().map(|turn| (turn % count, false));
        let last = (0..count).flat_map(|nr| [(nr, true), (nr, true)]);
        for (nr, is_last) in turns.chain(last) {
            if let Some(at) = numbers.iter().position(|known| *known == nr) {
                let act = acts[nr].pop_front().filter(|_| !is_last);
                let play: &mut Play<B> = &mut plays[at];
                play.act(act.unwrap_or(&Act::Drop));
            } else {
                let ScriptedRequest {
                    script, service, ..
                } = &self.requests[nr];
                let service = &mut services[*service];
                let mut oracles = oracles(script);
                for (layer, oracle) in oracles.iter_mut().enumerate() {
                    oracle.learn_method(plays.iter().map(|play: &Play<B>| &play.oracles[layer]));
                }
                let play = Play::open(service, script, oracles, self.request(nr));
                let inside = play.handler.current().expect("a call");
                assert_eq!(inside.id, Some(nr.to_string()), "the baggage of the call");
                numbers.push(nr);
                plays.push(play);
            }
            assert_eq!(Current::here(), outside, "the context outside");
            check(&plays);
        }
        assert!(plays.iter().all(Play::is_dropped));
        for play in &plays {
            play.check_after_drop();
        }
        check(&plays);
        numbers.into_iter().zip(plays).collect()
    }
}
