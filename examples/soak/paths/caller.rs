//! The headers by which a request claims a caller or a proxy, and the effect that they may have on the layer.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The claim of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// No claim.
    Plain,
    /// A `traceparent` and baggage that the server trusts.
    Trusted,
    /// A `traceparent` of a public endpoint's client.
    ForgedTraceparent,
    /// The header `b3`.
    ForgedB3,
    /// The headers `X-B3-*`, and with them a `traceparent`.
    ForgedB3Headers,
    /// Baggage, and a `tracestate` of 32 members and 7,900 bytes.
    ForgedBaggage,
    /// Trace headers that no propagator accepts.
    Malformed,
    /// An element of `X-Forwarded-For` before the one of the trusted proxy.
    ForgedElement,
    /// A `Forwarded` that contradicts the proxy's `X-Forwarded-For`.
    Contradiction,
    /// Headers of a proxy that are no elements, and thousands of commas.
    MalformedForwarded,
}

/// The baggage of each caller that has some.
pub(crate) const BAGGAGE: (&str, &str) = ("user", "admin");

/// The trace of each caller.
pub(crate) const CALLER_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const PEER: &str = "127.0.0.1";

static TRACESTATE: LazyLock<String> = LazyLock::new(|| {
    let members = (0..32).map(|member| format!("vendor{member}={}", "v".repeat(236)));
    members.collect::<Vec<_>>().join(",")
});
static COMMAS: LazyLock<String> = LazyLock::new(|| ",".repeat(4_000));

impl Caller {
    /// Whether the endpoint is public for this request.
    pub(crate) fn is_public(self) -> bool {
        !matches!(self, Self::Plain | Self::Trusted)
    }

    /// Returns the expected relation of the outer span to the caller.
    pub(crate) fn origin(self) -> &'static str {
        match self {
            Self::Trusted => "child in the caller's trace",
            Self::ForgedTraceparent
            | Self::ForgedB3
            | Self::ForgedB3Headers
            | Self::ForgedBaggage => "root with a link",
            Self::Plain
            | Self::Malformed
            | Self::ForgedElement
            | Self::Contradiction
            | Self::MalformedForwarded => "root",
        }
    }

    /// Returns the expected relation of the inner span to the caller.
    pub(crate) fn inner_origin(self) -> &'static str {
        if self == Self::Trusted {
            "child in the caller's trace"
        } else {
            "child"
        }
    }

    /// Returns the expected `client.address` of a request over HTTP.
    pub(crate) fn client_address(self) -> &'static str {
        if self == Self::ForgedElement {
            "192.0.2.1"
        } else {
            PEER
        }
    }

    /// Whether the handler gets the caller's baggage.
    pub(crate) fn has_baggage(self) -> bool {
        self == Self::Trusted
    }

    /// Adds the headers to a request's.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let mut add = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).expect("visible ASCII");
            headers.append(HeaderName::from_static(name), value);
        };
        match self {
            Self::Plain => {}
            Self::Trusted => {
                add("traceparent", TRACEPARENT);
                add("tracestate", "vendor=value");
                add("baggage", "user=admin");
            }
            Self::ForgedTraceparent => add("traceparent", TRACEPARENT),
            Self::ForgedB3 => add("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"),
            Self::ForgedB3Headers => {
                add("x-b3-traceid", CALLER_TRACE);
                add("x-b3-spanid", "b7ad6b7169203331");
                add("x-b3-sampled", "1");
                add("traceparent", TRACEPARENT);
            }
            Self::ForgedBaggage => {
                add("traceparent", TRACEPARENT);
                add("tracestate", &TRACESTATE);
                add("baggage", "user=admin,tenant=other");
            }
            Self::Malformed => {
                add(
                    "traceparent",
                    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                );
                add("tracestate", &COMMAS);
                add("b3", "not-a-trace");
                add("baggage", "=;=,%%%");
            }
            Self::ForgedElement => {
                add("x-forwarded-for", "6.6.6.6, 192.0.2.1");
                add("x-forwarded-host", "forged.example, example.com");
            }
            Self::Contradiction => {
                add("forwarded", "for=6.6.6.6;proto=https");
                add("x-forwarded-for", "192.0.2.1");
            }
            Self::MalformedForwarded => {
                add("forwarded", "for=\"[::\";proto==;;\"");
                add("x-forwarded-for", &COMMAS);
            }
        }
    }
}
