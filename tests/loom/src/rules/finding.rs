//! The global tracer provider, which may be set, and replaced, while requests are served.

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

use crate::explore::{Moment, Rule, spawn};
use crate::provider::tracer::{FoundTracer, StartOptions, Started, TracerSource};
use crate::recording::clock::Clock;
use crate::watched::own_context;

pub const RULES: &[Rule] = &[
    Rule {
        name: "a provider that is set late: once a request had a span, all have one, of one tracer",
        model: set_late,
        comes_to: &["the first", "the second"],
    },
    Rule {
        name: "a provider that makes no spans yet: once it has been asked, it is asked by all",
        model: || without_a_span(asked),
        comes_to: &["found", "too early"],
    },
    Rule {
        name: "a provider that is only looked at: once it was seen, it is seen by all",
        model: || without_a_span(looked_at),
        comes_to: &["found", "too early"],
    },
];

/// The providers that there may be, by the id that their spans have.
const NONE: u64 = 0;
const ONE: u64 = 0xf1;
const OTHER: u64 = 0xf2;
/// It makes a span only where there is a parent.
const UNSAMPLING: u64 = 0xf3;

/// The process-wide provider: at each moment the one that the model has set.
struct Global;

/// What the model that runs has set.
static SET: Mutex<Option<Arc<AtomicU64>>> = Mutex::new(None);

/// For whom a provider was asked that makes no spans yet, and who asks next.
static ANSWERED: Mutex<Vec<String>> = Mutex::new(Vec::new());
static NAMES: AtomicUsize = AtomicUsize::new(0);

/// A tracer of one of the providers.
struct OfProvider(u64);

#[derive(Debug)]
struct OfTracer(SpanContext);

impl TracerProvider for Global {
    type Tracer = OfProvider;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> OfProvider {
        let set = SET.lock().expect("not poisoned").clone();
        let set = set.expect("a model runs");
        // As a change, which is in one order with all others.
        OfProvider(set.fetch_add(0, SeqCst))
    }
}

impl Tracer for OfProvider {
    type Span = OfTracer;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> OfTracer {
        if self.0 == UNSAMPLING {
            let mut answered = ANSWERED.lock().expect("not poisoned");
            answered.push(builder.name.into_owned());
        }
        let parent = parent.span().span_context().clone();
        OfTracer(match self.0 {
            // As the API's no-op.
            NONE => parent,
            UNSAMPLING if !parent.is_valid() => SpanContext::NONE,
            provider => own_context(provider),
        })
    }
}

impl Span for OfTracer {
    fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
    }

    fn span_context(&self) -> &SpanContext {
        &self.0
    }

    fn is_recording(&self) -> bool {
        [ONE, OTHER].map(SpanId::from).contains(&self.0.span_id())
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
struct World {
    set: Arc<AtomicU64>,
    source: TracerSource,
    /// A request has found what is looked for.
    found: Moment,
}

/// What has come of a request.
#[derive(Clone, Copy, Debug)]
struct Served<T> {
    /// What is looked for had been found before it began.
    is_later: bool,
    found: Option<T>,
}

impl World {
    fn new() -> Arc<Self> {
        let set = Arc::new(AtomicU64::new(NONE));
        *SET.lock().expect("not poisoned") = Some(Arc::clone(&set));
        ANSWERED.lock().expect("not poisoned").clear();
        global::set_tracer_provider(Global);
        Arc::new(Self {
            set,
            source: TracerSource::global(),
            found: Moment::new(),
        })
    }

    fn set(&self, provider: u64) {
        self.set.swap(provider, SeqCst);
    }

    fn serve<T>(&self, f: impl FnOnce(&FoundTracer<'_>) -> Option<T>) -> Served<T> {
        let is_later = self.found.has_been();
        let found = self.source.tracer().and_then(|tracer| f(&tracer));
        if found.is_some() {
            self.found.is_now();
        }
        Served { is_later, found }
    }

    /// Serves a request, looking for whose span it gets.
    fn start(&self) -> Served<SpanId> {
        self.serve(|tracer| {
            let started = start(tracer, "request")?;
            started.slot.end_unrecorded();
            Some(started.slot.span_context().span_id())
        })
    }
}

fn start(tracer: &FoundTracer<'_>, name: impl Into<Cow<'static, str>>) -> Option<Started> {
    let watch = StartOptions {
        timeline: Clock::start(),
        by_others: false,
    };
    tracer.start(SpanBuilder::from_name(name), &Context::new(), watch)
}

fn set_late() -> String {
    let world = World::new();
    let other = {
        let world = Arc::clone(&world);
        spawn(move || [world.start(), world.start()])
    };
    world.set(ONE);
    let first = world.start();
    world.set(OTHER);
    let second = world.start();
    let [third, fourth] = other.join().expect("the thread has run");
    let all = [first, second, third, fourth];
    let kept = match world.source.tracer() {
        Some(FoundTracer::Known(_)) => world.start().found,
        Some(FoundTracer::Candidate(..) | FoundTracer::Near(_)) | None => None,
    };
    assert!(kept.is_some(), "{all:?}");
    for Served { is_later, found } in all {
        assert!(!is_later || found == kept, "not {kept:?}: {all:?}");
    }
    let is_first = kept == Some(SpanId::from(ONE));
    if is_first { "the first" } else { "the second" }.to_owned()
}

/// What is found is a provider that makes no span: by asking it for one, or by looking at it.
fn without_a_span(found: fn(&FoundTracer<'_>) -> Option<()>) -> String {
    let world = World::new();
    let other = {
        let world = Arc::clone(&world);
        spawn(move || world.serve(found))
    };
    world.set(UNSAMPLING);
    let [first, second] = [(); 2].map(|()| world.serve(found));
    let third = other.join().expect("the thread has run");
    let all = [first, second, third];
    for Served { is_later, found } in all {
        assert!(!is_later || found.is_some(), "{all:?}");
    }
    let is_found = third.found.is_some();
    if is_found { "found" } else { "too early" }.to_owned()
}

fn asked(tracer: &FoundTracer<'_>) -> Option<()> {
    let name = NAMES.fetch_add(1, Relaxed).to_string();
    assert!(start(tracer, name.clone()).is_none());
    let answered = ANSWERED.lock().expect("not poisoned");
    answered.contains(&name).then_some(())
}

fn looked_at(tracer: &FoundTracer<'_>) -> Option<()> {
    tracer.is_real().then_some(())
}
