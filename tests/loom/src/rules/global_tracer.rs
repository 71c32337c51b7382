//! Tests the global tracer provider, which may be set and replaced while requests are served.

use crate::standard::borrow::Cow;
use crate::standard::sync::atomic::AtomicUsize;
use crate::standard::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::standard::sync::{Arc, Mutex};
use crate::standard::time::SystemTime;

use loom::sync::atomic::AtomicU64;
use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, global};

use crate::explore::{Milestone, Rule, spawn};
use crate::provider::parent::Parent;
use crate::provider::start_span::{StartOptions, StartedSpan};
use crate::provider::tracer::{FoundTracer, TracerSource};
use crate::recording::clock::Clock;
use crate::recording_tracer::local_span_context;

pub const RULES: &[Rule] = &[
    Rule {
        name: "once a request has a span of a provider set late, every later request has one",
        model: set_late,
        outcomes: &["the first", "the second"],
    },
    Rule {
        name: "once a provider that makes no spans yet is asked for a span, every later request asks it",
        model: || find_without_span(is_asked),
        outcomes: &["found", "too early"],
    },
    Rule {
        name: "once a provider that makes no spans yet is found to be real, every later request finds it",
        model: || find_without_span(is_real),
        outcomes: &["found", "too early"],
    },
];

/// The providers that may be set, as the ids of their spans.
const NOOP: u64 = 0;
const FIRST: u64 = 0xf1;
const SECOND: u64 = 0xf2;
/// It makes a span only under a parent.
const UNSAMPLING: u64 = 0xf3;

/// The process-wide provider. It delegates to the provider that the model has set.
struct GlobalProvider;

/// The provider that the running model has set.
static CURRENT: Mutex<Option<Arc<AtomicU64>>> = Mutex::new(None);

/// The names of the spans that the unsampling provider was asked for.
static ASKED_FOR: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The number that names the next of those spans.
static NEXT_NAME: AtomicUsize = AtomicUsize::new(0);

/// A tracer of one of the providers.
struct TestTracer(u64);

#[derive(Debug)]
struct TestSpan(SpanContext);

impl TracerProvider for GlobalProvider {
    type Tracer = TestTracer;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> TestTracer {
        let current = CURRENT.lock().expect("the lock is not poisoned").clone();
        let current = current.expect("a model runs");
        // A load may return a stale value.
        TestTracer(current.fetch_add(0, SeqCst))
    }
}

impl Tracer for TestTracer {
    type Span = TestSpan;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> TestSpan {
        if self.0 == UNSAMPLING {
            let mut asked_for = ASKED_FOR.lock().expect("the lock is not poisoned");
            asked_for.push(builder.name.into_owned());
        }
        let parent = parent.span().span_context().clone();
        TestSpan(match self.0 {
            // As the API's no-op does.
            NOOP => parent,
            UNSAMPLING if !parent.is_valid() => SpanContext::NONE,
            provider => local_span_context(provider),
        })
    }
}

impl Span for TestSpan {
    fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
    }

    fn span_context(&self) -> &SpanContext {
        &self.0
    }

    fn is_recording(&self) -> bool {
        [FIRST, SECOND]
            .map(SpanId::from)
            .contains(&self.0.span_id())
    }

    fn set_attribute(&mut self, _: KeyValue) {}

    fn set_status(&mut self, _: Status) {}

    fn update_name<T>(&mut self, _: T)
    where
        T: Into<Cow<'static, str>>,
    {
    }

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}

    fn end_with_timestamp(&mut self, _: SystemTime) {}
}

/// A process in which no provider is set yet.
struct Process {
    current: Arc<AtomicU64>,
    source: TracerSource,
    /// A request has found what the model looks for.
    found: Milestone,
}

/// What one request has found.
#[derive(Clone, Copy, Debug)]
struct Finding<T> {
    /// Another request had found it before this one began.
    is_later: bool,
    found: Option<T>,
}

impl Process {
    fn new() -> Arc<Self> {
        let current = Arc::new(AtomicU64::new(NOOP));
        *CURRENT.lock().expect("the lock is not poisoned") = Some(Arc::clone(&current));
        ASKED_FOR.lock().expect("the lock is not poisoned").clear();
        global::set_tracer_provider(GlobalProvider);
        Arc::new(Self {
            current,
            source: TracerSource::global(),
            found: Milestone::new(),
        })
    }

    fn set_provider(&self, provider: u64) {
        self.current.swap(provider, SeqCst);
    }

    fn serve<T>(&self, find: impl FnOnce(FoundTracer<'_>) -> Option<T>) -> Finding<T> {
        let is_later = self.found.is_reached();
        let found = self.source.tracer().and_then(find);
        if found.is_some() {
            self.found.reach();
        }
        Finding { is_later, found }
    }

    /// Serves a request. The finding is the id of its span.
    fn serve_span(&self) -> Finding<SpanId> {
        self.serve(|tracer| {
            let started = start_span(tracer, "request")?;
            started.span.end_unrecorded();
            Some(started.span.span_context().span_id())
        })
    }
}

fn start_span(tracer: FoundTracer<'_>, name: impl Into<Cow<'static, str>>) -> Option<StartedSpan> {
    let options = StartOptions {
        clock: Clock::start(),
        has_other_readers: false,
    };
    let (current, mut caller) = (Context::new(), None);
    let mut parent = Parent::new(&current, &mut caller, false);
    tracer.start(SpanBuilder::from_name(name), &mut parent, options)
}

fn set_late() -> String {
    let process = Process::new();
    let other = {
        let process = Arc::clone(&process);
        spawn(move || [process.serve_span(), process.serve_span()])
    };
    process.set_provider(FIRST);
    let first = process.serve_span();
    process.set_provider(SECOND);
    let second = process.serve_span();
    let [third, fourth] = other.join().expect("the thread does not panic");
    let all = [first, second, third, fourth];
    let last = process.serve_span().found;
    for Finding { is_later, found } in all {
        assert!(!is_later || found.is_some(), "{all:?}");
    }
    let kept = process.serve_span().found;
    assert!(
        kept.is_some() && (last.is_none() || last == kept),
        "{all:?}, {last:?}, {kept:?}"
    );
    let is_first = kept == Some(SpanId::from(FIRST));
    if is_first { "the first" } else { "the second" }.to_owned()
}

/// Looks for a provider that makes no span, with `find`.
fn find_without_span(find: fn(FoundTracer<'_>) -> Option<()>) -> String {
    let process = Process::new();
    let other = {
        let process = Arc::clone(&process);
        spawn(move || process.serve(find))
    };
    process.set_provider(UNSAMPLING);
    let [first, second] = [(); 2].map(|()| process.serve(find));
    let third = other.join().expect("the thread does not panic");
    let all = [first, second, third];
    for Finding { is_later, found } in all {
        assert!(!is_later || found.is_some(), "{all:?}");
    }
    let is_found = third.found.is_some();
    if is_found { "found" } else { "too early" }.to_owned()
}

/// Asks for a span. Returns `Some` if the unsampling provider was asked.
fn is_asked(tracer: FoundTracer<'_>) -> Option<()> {
    let name = NEXT_NAME.fetch_add(1, Relaxed).to_string();
    assert!(start_span(tracer, name.clone()).is_none());
    let asked_for = ASKED_FOR.lock().expect("the lock is not poisoned");
    asked_for.contains(&name).then_some(())
}

fn is_real(tracer: FoundTracer<'_>) -> Option<()> {
    tracer.is_real().then_some(())
}
