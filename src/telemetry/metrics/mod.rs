//! Measures requests.

mod attributes;
mod boundaries;
mod definitions;
mod gen_ai;
mod instruments;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};

use crate::catch_panic::catch_panic;
use crate::protocol::grpc::Protocol;
use crate::provider::meter::{GlobalMeters, meter_from};
use crate::recording::ended_request::EndedRequest;
use crate::recording::learnt_models::LearntModels;
use crate::recording::measured::Measured;
use crate::recording::request_info::RequestInfo;
use crate::settings::streams::StreamDurations;
use crate::settings::{MetricSettings, Settings};

use attributes::AttributeList;
use boundaries::Boundaries;

pub(crate) use instruments::Instruments;

/// The source of a layer's instruments.
#[derive(Clone, Default)]
pub(crate) struct Meters {
    source: Source,
    boundaries: Boundaries,
}

#[derive(Clone)]
enum Source {
    /// The global provider, whatever it is at the time.
    Global(Arc<GlobalMeters<Instruments>>),
    Given(Arc<GivenMeter>),
}

/// The meter of the given provider, and its instruments. They are made once, because an SDK ignores the boundaries of
/// a second one with the same name.
struct GivenMeter {
    /// `None` if the provider is the API's no-op or panics.
    meter: Option<Meter>,
    instruments: OnceLock<Option<Arc<Instruments>>>,
}

impl Default for Source {
    fn default() -> Self {
        Self::Global(Arc::default())
    }
}

impl Source {
    fn given(meter: Option<Meter>) -> Self {
        Self::Given(Arc::new(GivenMeter {
            meter,
            instruments: OnceLock::new(),
        }))
    }
}

impl Meters {
    pub(crate) fn set_provider<P: MeterProvider + ?Sized + 'static>(&mut self, provider: &P) {
        self.source = Source::given(meter_from(provider));
    }

    /// Sets the boundaries of a histogram. Instruments that other layers have made are unaffected.
    pub(crate) fn set_boundaries(&mut self, metric: &str, boundaries: Vec<f64>) {
        self.boundaries.set(metric, boundaries);
        self.source = match &self.source {
            Source::Global(_) => Source::default(),
            Source::Given(given) => Source::given(given.meter.clone()),
        };
    }

    /// Describes the provider in a few words.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.source {
            Source::Global(global) => global.describe(),
            Source::Given(given) if given.meter.is_some() => "given",
            Source::Given(_) => "given, none (the API's no-op, or it panics)",
        }
    }

    /// Whether there are instruments for this request. If there are none, counts the request.
    pub(crate) fn is_set(&self) -> bool {
        match &self.source {
            Source::Given(given) => given.get(&self.boundaries).is_some(),
            Source::Global(global) => global.is_set(|meter| make(meter, &self.boundaries)),
        }
    }

    /// Returns the instruments for a request that starts at this moment.
    pub(crate) fn find(&self, moment: Instant) -> Option<Arc<Instruments>> {
        match &self.source {
            Source::Given(given) => given.get(&self.boundaries).cloned(),
            Source::Global(global) => global.get(moment, |meter| make(meter, &self.boundaries)),
        }
    }
}

impl GivenMeter {
    fn get(&self, boundaries: &Boundaries) -> Option<&Arc<Instruments>> {
        let made = || make(self.meter.as_ref()?, boundaries);
        self.instruments.get_or_init(made).as_ref()
    }
}

/// Makes the instruments, unless that panics.
fn make(meter: &Meter, boundaries: &Boundaries) -> Option<Arc<Instruments>> {
    catch_panic(|| Arc::new(Instruments::new(meter, boundaries)))
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Global(_) => "Global",
            Source::Given(_) => "Given",
        })
    }
}

/// A request that is measured.
pub(crate) struct Measurement {
    instruments: Arc<Instruments>,
    /// What is recorded of it here.
    records: Measured,
    /// What is recorded of it here or outside.
    measured: Measured,
    /// Whether it was counted as active.
    is_active: bool,
}

impl Measurement {
    /// Starts to measure a request, of which a layer outside records the metrics `outside`.
    pub(crate) fn start(
        instruments: Arc<Instruments>,
        request: &RequestInfo,
        settings: MetricSettings,
        outside: Measured,
    ) -> Self {
        let records = Measured {
            server: !outside.server,
            gen_ai: settings.gen_ai && !outside.gen_ai,
        };
        let counts_active = settings.active_requests && records.server;
        let is_active = counts_active && add_active(&instruments, 1, request).is_some();
        Self {
            instruments,
            records,
            measured: outside.or(records),
            is_active,
        }
    }

    /// Returns what is recorded of the request, here or outside.
    pub(crate) fn measured(&self) -> Measured {
        self.measured
    }

    /// Stops counting the request as active.
    pub(crate) fn leave_active(&self, request: &RequestInfo) {
        if self.is_active {
            add_active(&self.instruments, -1, request);
        }
    }

    /// Records a request that has ended. An instrument that panics affects no other.
    pub(crate) fn record(
        self,
        ended: &EndedRequest<'_>,
        settings: &Settings,
        learnt_models: &LearntModels,
    ) {
        if self.records == Measured::default() {
            return;
        }
        let recorded = ended.buffer.as_ref();
        let recorded = recorded.map(|buffer| &buffer.metric_attributes);
        let more = settings.metric_attributes.of(ended.completion, recorded);
        if self.records.server {
            let attributes = AttributeList::describe(ended, settings);
            let attributes = &attributes.with(&more);
            self.record_duration(ended, settings.stream_durations, attributes);
            if settings.metrics.response_times {
                self.record_response_times(ended, attributes);
            }
            self.record_sizes(ended, attributes);
        }
        if self.records.gen_ai {
            self.record_gen_ai(ended, &more, learnt_models);
        }
    }

    fn record_duration(
        &self,
        ended: &EndedRequest<'_>,
        streams: StreamDurations,
        attributes: &[KeyValue],
    ) {
        if ended.completion.is_stream && streams == StreamDurations::Excluded {
            return;
        }
        let duration = match ended.completion.protocol {
            Protocol::Http => &self.instruments.http_duration,
            Protocol::Grpc | Protocol::GrpcWeb => &self.instruments.rpc_duration,
        };
        catch_panic(|| duration.record(ended.completion.duration.as_secs_f64(), attributes));
    }

    fn record_response_times(&self, ended: &EndedRequest<'_>, attributes: &[KeyValue]) {
        let instruments = &self.instruments;
        for (histogram, time) in [
            (&instruments.time_to_head, ended.completion.time_to_head),
            (
                &instruments.time_to_first_byte,
                ended.completion.time_to_first_byte,
            ),
        ] {
            if let Some(time) = time {
                catch_panic(|| histogram.record(time.as_secs_f64(), attributes));
            }
        }
    }

    fn record_sizes(&self, ended: &EndedRequest<'_>, attributes: &[KeyValue]) {
        let instruments = &self.instruments;
        for (histogram, bytes) in [
            (
                &instruments.request_body_size,
                ended.completion.request_bytes,
            ),
            (
                &instruments.response_body_size,
                ended.completion.response_bytes,
            ),
        ] {
            if let Some(bytes) = bytes {
                catch_panic(|| histogram.record(bytes, attributes));
            }
        }
    }

    /// Records a request to a language model: one whose operation was read, or set by the handler.
    fn record_gen_ai(
        &self,
        ended: &EndedRequest<'_>,
        more: &[KeyValue],
        learnt_models: &LearntModels,
    ) {
        let Some(attributes) = gen_ai::describe(ended, learnt_models) else {
            return;
        };
        let instruments = &self.instruments;
        let attributes = &attributes.with(more);
        let duration = ended.completion.duration.as_secs_f64();
        catch_panic(|| instruments.gen_ai_duration.record(duration, attributes));
        if let Some(first) = gen_ai::time_to_first_token(ended) {
            let first = first.as_secs_f64();
            catch_panic(|| instruments.gen_ai_first_token.record(first, attributes));
        }
        if let Some(per_token) = gen_ai::time_per_output_token(ended) {
            catch_panic(|| instruments.gen_ai_per_token.record(per_token, attributes));
        }
    }
}

/// Adds to the active requests. Returns `None` if that panics.
fn add_active(instruments: &Instruments, count: i64, request: &RequestInfo) -> Option<()> {
    let attributes = attributes::describe_active(request);
    catch_panic(|| instruments.active_requests.add(count, &attributes))
}
