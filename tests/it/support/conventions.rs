//! Spans of the layer held against the semantic conventions: keys and types, values of enumerations,
//! what must be there, names.
//!
//! The tables in `conventions/` are the release's own, not what `src` says of it. Unlike the rest of
//! what is looked at in every span, this finds a key that is spelt wrong in `src` and in no test.
//!
//! What is not checked, and why:
//! - what handlers of tests say under keys that begin with [`OF_TESTS`], and in events of theirs: it is
//!   the tests';
//! - `url.path` of a CONNECT, whose target has none, and an empty string is no attribute here;
//! - `rpc.status_code` being there, though the conventions require it: the layer writes none for an
//!   error instead of a response, a panic, or an answer without `grpc-status`;
//! - `rpc.*` on a span of HTTP, and `http.route` without its name: handlers may set what the layer has
//!   not, under any key but its own;
//! - a 5xx being an error at all: a classification of the user's may say that it is not;
//! - names that tests have given, [`TOLD_NAMES`].

pub mod metrics;
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, Key, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// With the release in its name, which is that of [`SCHEMA_URL`].
const REGISTRY: &str = include_str!("conventions/attributes-1.45.0.txt");
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";
const GEN_AI: &str = include_str!("conventions/attributes-gen-ai-1.42.0.txt");
const OWN: &str = include_str!("conventions/attributes-own.txt");

/// Attributes that handlers in these tests set begin so, if they are not the conventions'.
pub const OF_TESTS: &str = "test.";

/// The value that handlers by script set under keys of the layer's, which it may not have written.
pub const BY_HANDLERS: &str = "handler's";

/// Names that tests give to spans, by `span_name` and through the context. They say nothing of the
/// request, so that the rule for names does not hold for them.
const TOLD_NAMES: [&str; 5] = ["its", "llm_core", "llm_request", "nosy", "other"];

/// The methods of RFC 9110, RFC 5789 and RFC 10008, all that are known without a setting; and last the
/// one that tests make known.
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

/// The codes that are errors of the server.
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
    /// Type by name; the name of a template ends with `<key>`.
    span: BTreeMap<&'static str, &'static str>,
    /// Attributes by name of the layer's own events: name and type.
    events: BTreeMap<&'static str, Vec<(&'static str, &'static str)>>,
}

impl Tables {
    fn parse() -> Self {
        let mut span = BTreeMap::new();
        let mut events = BTreeMap::new();
        let mut attribute = |name, kind| {
            let twice = span.insert(name, kind).is_some();
            assert!(!twice, "{name} is in the tables twice");
        };
        for line in lines(REGISTRY).chain(lines(GEN_AI)) {
            match line[..] {
                [name, kind, "stable" | "development"] => attribute(name, kind),
                _ => panic!("a line of the conventions' tables: {line:?}"),
            }
        }
        for line in lines(OWN) {
            match line[..] {
                ["span", name, kind] => attribute(name, kind),
                ["event", name, ref attributes @ ..] => {
                    let pairs = attributes.chunks(2).map(|pair| match *pair {
                        [name, kind] => (name, kind),
                        _ => panic!("an attribute of {name} without a type"),
                    });
                    events.insert(name, pairs.collect());
                }
                _ => panic!("a line of our own table: {line:?}"),
            }
        }
        Self { span, events }
    }

    /// The type of a span's attribute.
    fn kind(&self, key: &str) -> Option<&'static str> {
        let of_template = |name: &str| {
            let rest = key.strip_prefix(name.strip_suffix("<key>")?)?;
            let is_one = !rest.is_empty() && !rest.contains(|c: char| c.is_ascii_uppercase());
            is_one.then_some(())
        };
        let found = self.span.get_key_value(key).or_else(|| {
            let mut all = self.span.iter();
            all.find(|(name, _)| of_template(name).is_some())
        });
        let (_, kind) = found?;
        let plain = kind.strip_prefix("template[");
        Some(plain.map_or(kind, |rest| rest.strip_suffix(']').expect("a template")))
    }
}

/// Fields of the lines that are no comments.
fn lines(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_ascii_whitespace().collect())
}

/// What is wrong with a span of the layer; empty if it is as the conventions have it.
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
    let is_there = |key| span.get(key).is_some();
    faults.unless(
        is_there("server.address") || !is_there("server.port"),
        || "server.port without server.address".to_owned(),
    );
    faults.0
}

struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, is_well: bool, fault: impl FnOnce() -> String) {
        if !is_well {
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

    /// The keys that must be there.
    fn require(&self, keys: &[&str], faults: &mut Faults) {
        for key in keys {
            faults.unless(self.get(key).is_some(), || format!("{key} is not there"));
        }
    }

    /// That the original method is there exactly if the method is none that is known.
    fn original(&self, key: &str, faults: &mut Faults) {
        let is_other = self.text(key).as_deref() == Some("_OTHER");
        let original = format!("{key}_original");
        faults.unless(self.get(&original).is_some() == is_other, || {
            format!("{original} is there, or not, against {key}")
        });
    }

    /// That the span has one of these names, or one that a test has given it.
    fn name(&self, names: &[String], faults: &mut Faults) {
        let name = &*self.0.name;
        let is_one = names.iter().any(|one| one == name) || TOLD_NAMES.contains(&name);
        faults.unless(is_one, || format!("the name {name}, and not of {names:?}"));
    }

    /// That the name is the method's with its route or, where that was not known or set under its key
    /// only, without. Never with the path.
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

    /// That an error by status has the status as its type. Where there is a message, the error was
    /// told by a handler, the service or the body, and has the type of that.
    fn error_type(&self, status: &str, faults: &mut Faults) {
        let terminal = self.0.events.last();
        let mut said = terminal.iter().flat_map(|event| &event.attributes);
        if self.text("api.abort.reason").as_deref() != Some("exception")
            || said.any(|attribute| attribute.key.as_str() == "error")
        {
            return;
        }
        let error_type = self.text("error.type");
        faults.unless(error_type.as_deref() == Some(status), || {
            format!("error.type {error_type:?} with status {status}")
        });
    }
}

fn scope(span: &SpanData, faults: &mut Faults) {
    let scope = &span.instrumentation_scope;
    faults.unless(span.span_kind == SpanKind::Server, || {
        format!("the kind {:?}", span.span_kind)
    });
    faults.unless(scope.schema_url() == Some(SCHEMA_URL), || {
        format!("the schema URL {:?}", scope.schema_url())
    });
    faults.unless(scope.version() == Some(env!("CARGO_PKG_VERSION")), || {
        format!("the scope's version {:?}", scope.version())
    });
}

/// That a key of the span is on a list, with its type.
fn keys(attribute: &KeyValue, faults: &mut Faults) {
    let key = attribute.key.as_str();
    if key.starts_with(OF_TESTS) {
        return;
    }
    let Some(kind) = TABLES.kind(key) else {
        faults.0.push(format!("{key} is on no list"));
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
        _ => "of another type",
    };
    faults.unless(kind == "any" || kind == found, || {
        format!("{key} is {found}, and not {kind}")
    });
}

/// That a value is one of those that there are.
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
            "{} is {}, and none of {all:?}",
            attribute.key, attribute.value
        )
    });
}

/// That the layer's own events are on our list, with their attributes. Handlers in these tests give
/// theirs names without a dot and in lower case, so that one of the layer's, spelt wrong, is not taken
/// for one of theirs.
fn events(span: &SpanData, faults: &mut Faults) {
    for event in span.events.iter() {
        let name = &*event.name;
        if !name.contains(|c: char| c == '.' || c.is_ascii_uppercase()) {
            continue;
        }
        let Some(attributes) = TABLES.events.get(name) else {
            faults.0.push(format!("the event {name} is on no list"));
            continue;
        };
        for KeyValue { key, value, .. } in &event.attributes {
            let mut all = attributes.iter();
            match all.find(|(one, _)| *key == Key::from_static_str(one)) {
                Some((key, kind)) => typed(key, value, kind, faults),
                None => faults.0.push(format!("{key} of {name} is on no list")),
            }
        }
    }
}

fn http(span: &Attributes<'_>, faults: &mut Faults) {
    span.require(&["http.request.method", "url.scheme"], faults);
    let is_connect = ["http.request.method", "http.request.method_original"]
        .iter()
        .any(|key| span.text(key).as_deref() == Some("CONNECT"));
    if !is_connect {
        span.require(&["url.path"], faults);
    }
    span.original("http.request.method", faults);
    // It is for protocols other than HTTP.
    faults.unless(span.get("network.protocol.name").is_none(), || {
        "network.protocol.name of HTTP".to_owned()
    });
    let status = span.text("http.response.status_code");
    let has_head = span.get("api.time_to_head").is_some();
    faults.unless(status.is_some() == has_head, || {
        format!("status {status:?}, while a head was handed on: {has_head}")
    });
    if let Some(status) = status.filter(|status| status.starts_with('5')) {
        span.error_type(&status, faults);
    }
    span.http_name(faults);
}

fn grpc(span: &Attributes<'_>, faults: &mut Faults) {
    span.require(&["rpc.system.name", "rpc.method"], faults);
    span.original("rpc.method", faults);
    // Of a call that was answered in plain HTTP, the name is not for the client to choose.
    let answered_in_http = span.text("http.request.method");
    let code = span.text("rpc.status_code");
    let method = span.text("rpc.method").unwrap_or_default();
    if let Some(method) = &answered_in_http {
        span.require(&["http.response.status_code"], faults);
        span.original("http.request.method", faults);
        let is_one = ["POST", "_OTHER"].contains(&&**method);
        faults.unless(is_one && code.is_none(), || {
            format!("a gRPC call by {method}, of code {code:?}, answered in HTTP")
        });
        span.http_name(faults);
    } else if method == "_OTHER" {
        span.name(&["grpc".to_owned()], faults);
    } else if code.as_deref() == Some("UNIMPLEMENTED") || span.get("api.time_to_head").is_none() {
        // Nor is that of a method that no server has answered for, unless a list has it.
        span.name(&["grpc".to_owned(), method], faults);
    } else {
        span.name(&[method], faults);
    }
    // The conventions' table for RPC has none of these.
    for attribute in &span.0.attributes {
        let key = attribute.key.as_str();
        let is_https_method = answered_in_http.is_some()
            && (key.starts_with("http.request.method")
                || ["url.scheme", "network.protocol.version"].contains(&key));
        if attribute.value.as_str() == BY_HANDLERS || is_https_method {
            continue;
        }
        let is_https = ["http.request.", "url.", "user_agent.", "network.protocol."]
            .iter()
            .any(|of_http| key.starts_with(of_http));
        faults.unless(!is_https, || format!("{key} of a gRPC call"));
    }
    if let Some(code) = code.filter(|code| GRPC_SERVER_ERRORS.contains(&&**code)) {
        span.error_type(&code, faults);
    }
}
