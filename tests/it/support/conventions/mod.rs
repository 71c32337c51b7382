//! Checks spans of the layer against the semantic conventions: keys, types, enumeration values, required
//! attributes and span names.
//!
//! The tables come from the release of the conventions, not from `src`. They catch a key that is
//! misspelt in `src` and that no test names.
//!
//! Not checked, with the reason:
//! - keys that begin with [`TEST_KEY_PREFIX`], and events of handlers: tests set them;
//! - `rpc.status_code` as a required attribute: there is no code for a service error, a panic, or a
//!   response without `grpc-status`;
//! - `rpc.*` on an HTTP span, and `http.route` missing from the name: handlers may set any key that the
//!   layer has not written;
//! - a 5xx as an error: a custom classification may decide otherwise;
//! - span names that tests set, [`TEST_SPAN_NAMES`].

pub mod metrics;
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, Key, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// The release in its file name is that of [`SCHEMA_URL`].
const REGISTRY: &str = include_str!("attributes-1.45.0.txt");
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";
const GEN_AI: &str = include_str!("attributes-gen-ai-1.42.0.txt");
const OWN: &str = include_str!("attributes-own.txt");

/// The prefix of attributes that tests set and the conventions do not define.
const TEST_KEY_PREFIX: &str = "test.";

/// An attribute and an event of an application's own, whose names resemble those of the layer.
const OF_APPLICATION: [&str; 2] = ["api.cache", "api.version"];

/// The value that scripted handlers set under keys of the layer that it may not have written.
pub const BY_HANDLERS: &str = "handler's";

/// Span names that tests set, by `span_name` or through the context. The rule for names does not apply
/// to them.
const TEST_SPAN_NAMES: [&str; 6] = ["custom", "its", "llm_core", "llm_request", "nosy", "other"];

/// The methods of RFC 9110, RFC 5789 and RFC 10008, which are known without a setting. The last one is
/// made known by tests.
const METHODS: [&str; 11] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
    "PROPFIND",
];

const GRPC_CODES: [&str; 17] = [
    "ABORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OK",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
    "UNKNOWN",
];

/// The codes that the conventions count as server errors.
const GRPC_SERVER_ERRORS: [&str; 6] = [
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
    "UNKNOWN",
];

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::parse);

struct Tables {
    /// Types of span attributes by name. The name of a template ends with `<key>`.
    span: BTreeMap<&'static str, &'static str>,
    /// The layer's own events by name, each with the names and types of its attributes.
    events: BTreeMap<&'static str, Vec<(&'static str, &'static str)>>,
}

impl Tables {
    fn parse() -> Self {
        let mut span = BTreeMap::new();
        let mut events = BTreeMap::new();
        let mut attribute = |name, kind| {
            let twice = span.insert(name, kind).is_some();
            assert!(!twice, "{name} appears in the tables twice");
        };
        for line in lines(REGISTRY).chain(lines(GEN_AI)) {
            match line[..] {
                [name, kind, "stable" | "development"] => attribute(name, kind),
                _ => panic!("malformed line in a table of the conventions: {line:?}"),
            }
        }
        for line in lines(OWN) {
            match line[..] {
                ["span", name, kind] => attribute(name, kind),
                ["event", name, ref attributes @ ..] => {
                    let pairs = attributes.chunks(2).map(|pair| match *pair {
                        [name, kind] => (name, kind),
                        _ => panic!("an attribute of {name} has no type"),
                    });
                    events.insert(name, pairs.collect());
                }
                _ => panic!("malformed line in attributes-own.txt: {line:?}"),
            }
        }
        Self { span, events }
    }

    /// Returns the type of a span attribute.
    fn kind(&self, key: &str) -> Option<&'static str> {
        let is_instance = |name: &str| {
            let prefix = name.strip_suffix("<key>");
            let rest = prefix.and_then(|prefix| key.strip_prefix(prefix));
            rest.is_some_and(|rest| {
                !rest.is_empty() && !rest.contains(|c: char| c.is_ascii_uppercase())
            })
        };
        let found = self.span.get_key_value(key).or_else(|| {
            let mut all = self.span.iter();
            all.find(|(name, _)| is_instance(name))
        });
        let (_, kind) = found?;
        let plain = kind.strip_prefix("template[");
        Some(plain.map_or(kind, |rest| rest.strip_suffix(']').expect("a template")))
    }
}

/// Returns the fields of each line, without comments and empty lines.
fn lines(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_ascii_whitespace().collect())
}

/// Returns the violations in a span of the layer. Empty if it follows the conventions.
pub fn faults(span: &SpanData) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    scope(span, &mut faults);
    for attribute in &span.attributes {
        keys(attribute, &mut faults);
        members(attribute, &mut faults);
    }
    events(span, &mut faults);
    let span = Attributes(span);
    match span.text("rpc.system.name") {
        None => http(&span, &mut faults),
        Some(_) => grpc(&span, &mut faults),
    }
    let has = |key| span.get(key).is_some();
    faults.unless(has("server.address") || !has("server.port"), || {
        "server.port without server.address".to_owned()
    });
    faults.0
}

struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, is_valid: bool, fault: impl FnOnce() -> String) {
        if !is_valid {
            self.0.push(fault());
        }
    }
}

struct Attributes<'a>(&'a SpanData);

impl Attributes<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        let mut all = self.0.attributes.iter();
        let found = all.find(|attribute| attribute.key.as_str() == key)?;
        Some(&found.value)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(ToString::to_string)
    }

    /// Checks that the keys are present.
    fn require(&self, keys: &[&str], faults: &mut Faults) {
        for key in keys {
            faults.unless(self.get(key).is_some(), || format!("{key} is missing"));
        }
    }

    /// Checks that the original method is present exactly if the method is unknown.
    fn original(&self, key: &str, faults: &mut Faults) {
        let is_other = self.text(key).as_deref() == Some("_OTHER");
        let original = format!("{key}_original");
        faults.unless(self.get(&original).is_some() == is_other, || {
            format!("{original} does not agree with {key}")
        });
    }

    /// Checks that the span has one of these names, or one that a test sets.
    fn name(&self, names: &[String], faults: &mut Faults) {
        let name = &*self.0.name;
        let is_one = names.iter().any(|one| one == name) || TEST_SPAN_NAMES.contains(&name);
        faults.unless(is_one, || {
            format!("the name is {name}, expected one of {names:?}")
        });
    }

    /// Checks that the name is the method, with the route where the layer knew it. The path is never in
    /// the name.
    fn http_name(&self, faults: &mut Faults) {
        let method = match self.text("http.request.method").as_deref() {
            Some("_OTHER") | None => "HTTP".to_owned(),
            Some(method) => method.to_owned(),
        };
        let route = self.text("http.route");
        let with_route = route.map(|route| format!("{method} {route}"));
        let names: Vec<_> = with_route.into_iter().chain([method]).collect();
        self.name(&names, faults);
    }

    /// Checks that the type of an error by status is the status. With a message, the error came from the
    /// handler, the service or the body, and has their type.
    fn error_type(&self, status: &str, faults: &mut Faults) {
        let terminal = self.0.events.last();
        let mut attributes = terminal.iter().flat_map(|event| &event.attributes);
        if self.text("api.abort.reason").as_deref() != Some("exception")
            || attributes.any(|attribute| attribute.key.as_str() == "error")
        {
            return;
        }
        let error_type = self.text("error.type");
        faults.unless(error_type.as_deref() == Some(status), || {
            format!("error.type is {error_type:?} for status {status}")
        });
    }
}

fn scope(span: &SpanData, faults: &mut Faults) {
    let scope = &span.instrumentation_scope;
    faults.unless(span.span_kind == SpanKind::Server, || {
        format!("the span kind is {:?}", span.span_kind)
    });
    faults.unless(scope.schema_url() == Some(SCHEMA_URL), || {
        format!("the schema URL is {:?}", scope.schema_url())
    });
    faults.unless(scope.version() == Some(env!("CARGO_PKG_VERSION")), || {
        format!("the version of the scope is {:?}", scope.version())
    });
}

/// Checks that a key of the span is in a table, and the type of its value.
fn keys(attribute: &KeyValue, faults: &mut Faults) {
    let key = attribute.key.as_str();
    if key.starts_with(TEST_KEY_PREFIX) || OF_APPLICATION.contains(&key) {
        return;
    }
    let Some(kind) = TABLES.kind(key) else {
        faults.0.push(format!("{key} is in no table"));
        return;
    };
    typed(key, &attribute.value, kind, faults);
}

fn typed(key: &str, value: &Value, kind: &str, faults: &mut Faults) {
    let found = match value {
        Value::Bool(_) => "boolean",
        Value::I64(_) => "int",
        Value::F64(_) => "double",
        Value::String(_) => "string",
        Value::Array(Array::String(_)) => "string[]",
        _ => "another type",
    };
    faults.unless(kind == "any" || kind == found, || {
        format!("{key} is {found}, expected {kind}")
    });
}

/// Checks that a value is a member of its enumeration.
fn members(attribute: &KeyValue, faults: &mut Faults) {
    let all: &[&str] = match attribute.key.as_str() {
        "api.outcome" => &["ABORTED", "DEPARTED"],
        "http.request.method" if attribute.value.as_str() == "_OTHER" => return,
        "http.request.method" => &METHODS,
        "network.protocol.version" => &["0.9", "1.0", "1.1", "2", "3"],
        "rpc.status_code" => &GRPC_CODES,
        "rpc.system.name" => &["grpc"],
        "url.scheme" => &["http", "https", "ws", "wss"],
        _ => return,
    };
    faults.unless(all.contains(&&*attribute.value.as_str()), || {
        format!(
            "{} is {}, expected one of {all:?}",
            attribute.key, attribute.value
        )
    });
}

/// Checks that the layer's own events and their attributes are in the table. Event names of test
/// handlers are in lower case and have no dot, so that a misspelt name of the layer is recognised.
fn events(span: &SpanData, faults: &mut Faults) {
    for event in span.events.iter() {
        let name = &*event.name;
        if !name.contains(|c: char| c == '.' || c.is_ascii_uppercase()) {
            continue;
        }
        if OF_APPLICATION.contains(&name) {
            continue;
        }
        let Some(attributes) = TABLES.events.get(name) else {
            faults.0.push(format!("the event {name} is in no table"));
            continue;
        };
        for KeyValue { key, value, .. } in &event.attributes {
            let mut all = attributes.iter();
            match all.find(|(one, _)| *key == Key::from_static_str(one)) {
                Some((key, kind)) => typed(key, value, kind, faults),
                None => faults.0.push(format!("{key} of {name} is in no table")),
            }
        }
    }
}

fn http(span: &Attributes<'_>, faults: &mut Faults) {
    span.require(&["http.request.method", "url.scheme", "url.path"], faults);
    span.original("http.request.method", faults);
    // The conventions require it only for protocols other than HTTP.
    faults.unless(span.get("network.protocol.name").is_none(), || {
        "network.protocol.name on an HTTP span".to_owned()
    });
    let status = span.text("http.response.status_code");
    let has_head = span.get("api.time_to_head").is_some();
    faults.unless(status.is_some() == has_head, || {
        format!("status is {status:?}, response head sent: {has_head}")
    });
    if let Some(status) = status.filter(|status| status.starts_with('5')) {
        span.error_type(&status, faults);
    }
    span.http_name(faults);
}

fn grpc(span: &Attributes<'_>, faults: &mut Faults) {
    span.require(&["rpc.system.name", "rpc.method"], faults);
    span.original("rpc.method", faults);
    // A call answered in plain HTTP is named as HTTP, so that the client does not choose the name.
    let answered_in_http = span.text("http.request.method");
    let code = span.text("rpc.status_code");
    let method = span.text("rpc.method").unwrap_or_default();
    if let Some(method) = &answered_in_http {
        span.require(
            &["http.response.status_code", "url.path", "url.scheme"],
            faults,
        );
        span.original("http.request.method", faults);
        let is_one = ["POST", "_OTHER"].contains(&&**method);
        faults.unless(is_one && code.is_none(), || {
            format!("a gRPC call answered in HTTP has method {method} and code {code:?}")
        });
        span.http_name(faults);
    } else if method == "_OTHER" {
        span.name(&["grpc".to_owned()], faults);
    } else {
        span.name(&[method], faults);
    }
    // The conventions define these only for HTTP spans.
    for attribute in &span.0.attributes {
        let key = attribute.key.as_str();
        let is_http_method = answered_in_http.is_some()
            && (key.starts_with("http.request.method")
                || key.starts_with("url.")
                || key == "network.protocol.version");
        if attribute.value.as_str() == BY_HANDLERS || is_http_method {
            continue;
        }
        let is_http = ["http.request.", "url.", "user_agent.", "network.protocol."]
            .iter()
            .any(|prefix| key.starts_with(prefix));
        faults.unless(!is_http, || format!("{key} on a gRPC span"));
    }
    if let Some(code) = code.filter(|code| GRPC_SERVER_ERRORS.contains(&&**code)) {
        span.error_type(&code, faults);
    }
}
