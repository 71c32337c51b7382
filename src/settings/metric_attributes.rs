//! Attributes that the operator and the handler add to metrics.

// Not `std`: loom replaces that.
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use opentelemetry::{KeyValue, Value, otel_warn};

use crate::catch_panic::catch_panic;
use crate::outcome::Completion;
use crate::outcome::attribute_map::AttributeMap;
use crate::semconv as key;
use crate::settings::callback::Callback;
use crate::text::truncate;

/// A callback that returns attributes for the metrics of a request.
pub(crate) type MetricAttributesFn = dyn Fn(&Completion) -> Vec<KeyValue> + Send + Sync;

/// The keys that the layer itself writes to metrics. A second value of one would make another series, or replace it.
const OWN_KEYS: [&str; 14] = [
    key::API_STREAM,
    key::ERROR_TYPE,
    key::GEN_AI_OPERATION_NAME,
    key::GEN_AI_PROVIDER_NAME,
    key::GEN_AI_REQUEST_MODEL,
    key::GEN_AI_RESPONSE_MODEL,
    key::HTTP_REQUEST_METHOD,
    key::HTTP_RESPONSE_STATUS_CODE,
    key::HTTP_ROUTE,
    key::NETWORK_PROTOCOL_VERSION,
    key::RPC_METHOD,
    key::RPC_STATUS_CODE,
    key::RPC_SYSTEM_NAME,
    key::URL_SCHEME,
];

/// The attributes that metrics may have besides the layer's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetricAttributes {
    /// Sorted.
    keys: Vec<String>,
    pub(crate) callback: Callback<MetricAttributesFn>,
    refusal: Refusal,
}

impl MetricAttributes {
    /// Replaces the list of keys. An empty key, and a key of the layer's own, is left out.
    pub(crate) fn set_keys<K: Into<String>>(&mut self, keys: impl IntoIterator<Item = K>) {
        let keys = keys.into_iter().map(Into::into);
        self.keys = keys
            .filter(|key: &String| !key.is_empty() && !OWN_KEYS.contains(&key.as_str()))
            .collect();
        self.keys.sort();
        self.keys.dedup();
    }

    /// Returns the attributes for the metrics of a request, each with a listed key. `recorded` are the handler's; the
    /// callback's win.
    pub(crate) fn of(
        &self,
        completion: &Completion,
        recorded: Option<&AttributeMap>,
    ) -> Vec<KeyValue> {
        let called = self.callback.call(|attributes| attributes(completion));
        let called = called.and_then(Result::ok).unwrap_or_default();
        if called.is_empty() && recorded.is_none_or(AttributeMap::is_empty) {
            return Vec::new();
        }
        let mut all = AttributeMap::default();
        let recorded = recorded.into_iter().flat_map(AttributeMap::iter).cloned();
        for attribute in recorded.chain(called) {
            if self.is_listed(attribute.key.as_str()) {
                all.insert(bounded(attribute));
            } else {
                self.refusal.report(attribute.key.as_str());
            }
        }
        all.into_iter().collect()
    }

    fn is_listed(&self, key: &str) -> bool {
        let listed = self
            .keys
            .binary_search_by(|listed| listed.as_str().cmp(key));
        listed.is_ok()
    }
}

/// Truncates a text.
pub(crate) fn bounded(attribute: KeyValue) -> KeyValue {
    if let Value::String(text) = &attribute.value
        && truncate(text.as_str()).len() < text.as_str().len()
    {
        let text = truncate(text.as_str()).to_owned();
        return KeyValue::new(attribute.key, text);
    }
    attribute
}

/// Reports the first refused key of a layer and its clones, through OpenTelemetry's internal logging.
#[derive(Clone, Debug, Default)]
struct Refusal(Arc<AtomicBool>);

impl Refusal {
    #[cold]
    #[inline(never)]
    fn report(&self, key: &str) {
        if !self.0.swap(true, Ordering::Relaxed) {
            // A subscriber of `tracing` may panic.
            catch_panic(|| warn(key));
        }
    }
}

fn warn(key: &str) {
    otel_warn!(
        name: "ApiSpanLayer.MetricAttributeRefused",
        key = format!("{key:.1024}"),
        message = "A metric attribute was left out, because its key is not listed. List it with `ApiSpanLayer::metric_attribute_keys`, if it has few values. The next ones are not reported."
    );
}
