//! A span compared with how its exchange ended.

use std::collections::BTreeMap;

use opentelemetry_sdk::trace::SpanData;

use super::Oracle;
use super::sse::json::Message;

impl Oracle {
    /// Checks that the span of this exchange shows how it ended.
    ///
    /// # Panics
    ///
    /// Panics if it does not, or if the exchange has not ended.
    pub fn check(&self, span: &SpanData) {
        let ended = self.ended().expect("the exchange has ended");
        let attribute = |key: &str| {
            let mut all = span.attributes.iter();
            let found = all.find(|attribute| attribute.key.as_str() == key);
            found.map(|attribute| attribute.value.to_string())
        };
        let outcome = match ended.reason {
            None => "DEPARTED",
            Some(_) => "ABORTED",
        };
        let dropped_events = Some(ended.dropped_events).filter(|dropped| *dropped > 0);
        for (key, expected) in [
            ("api.outcome", Some(outcome.to_owned())),
            ("api.abort.reason", ended.reason.map(str::to_owned)),
            ("error.type", ended.error_type.clone()),
            ("rpc.status_code", ended.grpc_code.map(str::to_owned)),
            ("http.response.status_code", ended.status.map(to_string)),
            ("api.dropped_events", dropped_events.map(to_string)),
        ] {
            assert_eq!(attribute(key), expected, "{key}");
        }
        for (key, is_present) in [
            ("api.time_to_head", ended.has_head),
            ("api.time_to_first_byte", ended.has_first_byte),
            ("gen_ai.response.time_to_first_chunk", ended.has_first_chunk),
        ] {
            assert_eq!(attribute(key).is_some(), is_present, "{key}");
        }

        let events: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
        assert_eq!(events, ended.events, "the events");
        let terminal = span.events.last().expect("a terminal event");
        let mut error = terminal.attributes.iter();
        let error = error.find(|attribute| attribute.key.as_str() == "error");
        if let Message::Is(expected) = &ended.error {
            let error = error.map(|error| error.value.to_string());
            assert_eq!(error, *expected, "the message");
        }

        let of_tests = |key: &&str| key.starts_with("test.");
        let set = ended.attributes.iter().copied();
        let set: BTreeMap<_, _> = set.filter(|(key, _)| of_tests(key)).collect();
        let keys = span.attributes.iter().map(|one| one.key.as_str());
        for key in keys.filter(of_tests).chain(set.keys().copied()) {
            assert_eq!(attribute(key).as_deref(), set.get(key).copied(), "{key}");
        }

        if self.settings.is_llm {
            assert_eq!(span.name, "llm_request");
        }
        if !self.is_grpc_request() {
            assert_eq!(attribute("url.path"), Some(self.path.clone()));
            // The handler can also set the route as an attribute, which does not change the name.
            let by_key = ended.attributes.iter().rev();
            let by_key = by_key.clone().find(|(key, _)| *key == "http.route");
            let route = ended.route.or(by_key.map(|(_, value)| *value));
            assert_eq!(attribute("http.route").as_deref(), route, "http.route");
            if !self.settings.is_llm {
                let route = ended.route.map(|route| format!(" {route}"));
                let route = route.unwrap_or_default();
                assert_eq!(span.name, format!("{}{route}", self.method));
            }
        }
    }
}

fn to_string(value: impl ToString) -> String {
    value.to_string()
}
