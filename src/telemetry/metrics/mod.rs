//! Metrics of requests, from the same summary as their spans.

mod attributes;
mod gen_ai;
mod instruments;
mod streams;

use std::fmt;
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use opentelemetry::global;
use opentelemetry::metrics::MeterProvider;

use crate::catch_panic::catch_panic;
use crate::protocol::grpc::Protocol;
use crate::provider::schedule::Schedule;
use crate::recording::completion::Completion;
use crate::semconv as key;
use crate::settings::Settings;
use crate::telemetry::span::RequestInfo;

use attributes::List;
use instruments::Instruments;

pub(crate) use streams::ContentTypes;
pub use streams::StreamDurations;

/// Where requests are counted, and what of them.
#[derive(Clone)]
pub(crate) struct Meters {
    source: Source,
    pub(crate) settings: MetricSettings,
}

/// Which of the metrics there are, beside the durations.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetricSettings {
    pub(crate) active_requests: bool,
    pub(crate) response_times: bool,
    pub(crate) gen_ai: bool,
    pub(crate) streams: StreamDurations,
    pub(crate) stream_types: ContentTypes,
}

#[derive(Clone)]
enum Source {
    /// The process-wide provider, looked for until it is a real one.
    Global(Arc<GlobalMeter>),
    /// The layer's own; `None` if it was given one that measures nothing.
    Given(Option<Arc<Instruments>>),
}

/// The instruments of the global provider, once there is a real one.
#[derive(Default)]
struct GlobalMeter {
    found: OnceLock<Arc<Instruments>>,
    schedule: Schedule,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            source: Source::Global(Arc::default()),
            settings: MetricSettings::default(),
        }
    }
}

impl Meters {
    /// Counts in this provider.
    pub(crate) fn give(&mut self, provider: &dyn MeterProvider) {
        self.source = Source::Given(instruments_of(provider));
    }

    /// Where this request is counted, if anywhere.
    pub(crate) fn find(&self) -> Option<Meter> {
        let instruments = match &self.source {
            Source::Given(instruments) => instruments.as_ref(),
            Source::Global(global) => global.instruments(),
        };
        Some(Meter(Arc::clone(instruments?)))
    }

    /// Whether a response with these headers is a stream.
    pub(crate) fn is_stream(&self, headers: &HeaderMap) -> bool {
        self.settings.stream_types.has(headers)
    }

    /// Whether streams are marked, on spans as on metrics.
    pub(crate) fn mark_streams(&self) -> bool {
        self.settings.streams == StreamDurations::Marked
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Global(_) => "Global",
            Source::Given(_) => "Given",
        };
        f.debug_struct("Meters")
            .field("source", &source)
            .field("settings", &self.settings)
            .finish()
    }
}

impl GlobalMeter {
    fn instruments(&self) -> Option<&Arc<Instruments>> {
        if let Some(found) = self.found.get() {
            return Some(found);
        }
        if !self.schedule.is_due() {
            return None;
        }
        let provider = catch_panic(global::meter_provider)?;
        let instruments = instruments_of(provider.as_ref())?;
        Some(self.found.get_or_init(|| instruments))
    }
}

/// The instruments of a provider, unless it is the API's no-op, which there is before one is set. It
/// has no state, and is told from others by that.
fn instruments_of(provider: &dyn MeterProvider) -> Option<Arc<Instruments>> {
    if size_of_val(provider) == 0 {
        return None;
    }
    catch_panic(|| Arc::new(Instruments::new(&provider.meter_with_scope(key::scope()))))
}

/// Where a request may be counted.
pub(crate) struct Meter(Arc<Instruments>);

impl Meter {
    /// Counts a request from now on.
    pub(crate) fn start(&self, facts: &RequestInfo, config: &Settings) -> Metered {
        let instruments = Arc::clone(&self.0);
        let is_active =
            config.meters.settings.active_requests && add_active(&instruments, 1, facts).is_some();
        Metered {
            instruments,
            is_active,
        }
    }
}

/// A request that is counted.
pub(crate) struct Metered {
    instruments: Arc<Instruments>,
    /// It was counted as active.
    is_active: bool,
}

/// `None` if that fails.
fn add_active(instruments: &Instruments, more: i64, facts: &RequestInfo) -> Option<()> {
    let attributes = attributes::of_start(facts);
    catch_panic(|| instruments.active_requests.add(more, &attributes))
}

impl Metered {
    /// The request is active no longer, whatever can be said of it beside.
    pub(crate) fn leave(&self, facts: &RequestInfo) {
        if self.is_active {
            add_active(&self.instruments, -1, facts);
        }
    }

    /// Measures a request that is over. An instrument that fails takes no other with it.
    pub(crate) fn finish(self, summary: &Completion<'_>, config: &Settings) {
        let settings = &config.meters.settings;
        let instruments = &self.instruments;
        let is_left_out = summary.is_stream && settings.streams == StreamDurations::Excluded;
        let attributes = List::of(summary, config);
        let attributes = attributes.as_slice();
        let is_http = summary.head.protocol == Protocol::Http;
        if !is_left_out {
            let duration = if is_http {
                &instruments.http_duration
            } else {
                &instruments.rpc_duration
            };
            catch_panic(|| duration.record(summary.duration.as_secs_f64(), attributes));
        }
        if settings.response_times {
            for (histogram, time) in [
                (&instruments.time_to_head, summary.time_to_head),
                (&instruments.time_to_first_byte, summary.time_to_first_byte),
            ] {
                if let Some(time) = time {
                    catch_panic(|| histogram.record(time.as_secs_f64(), attributes));
                }
            }
        }
        for (histogram, bytes) in [
            (&instruments.request_body_size, summary.request_bytes),
            (&instruments.response_body_size, summary.response_bytes),
        ] {
            if let Some(bytes) = bytes {
                catch_panic(|| histogram.record(bytes, attributes));
            }
        }
        if settings.gen_ai {
            self.finish_gen_ai(summary);
        }
    }

    /// Measures a request to a language model: one of which the handler has told the operation.
    fn finish_gen_ai(&self, summary: &Completion<'_>) {
        let Some(operation) = gen_ai::Operation::of(summary) else {
            return;
        };
        let instruments = &self.instruments;
        let attributes = operation.attributes(summary);
        let all = attributes.as_slice();
        let duration = summary.duration.as_secs_f64();
        catch_panic(|| instruments.gen_ai_duration.record(duration, all));
        if let Some(first) = operation.time_to_first_token(summary) {
            let first = first.as_secs_f64();
            catch_panic(|| instruments.gen_ai_first_token.record(first, all));
        }
        if let Some(per_token) = operation.time_per_output_token(summary) {
            catch_panic(|| instruments.gen_ai_per_token.record(per_token, all));
        }
    }
}
