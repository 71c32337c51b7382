//! The server of `tests/protocols/run`: HTTP/1.1, HTTP/2 and gRPC on one port, in the layer. Spans are lines of JSON.
//!
//! ```text
//! cargo run --example protocols -- --addr 127.0.0.1:3000 --spans FILE
//! ```

mod grpc_api;
mod http_api;
// The examples' own command line and writer of spans.
#[path = "../../../examples/llm/serve.rs"]
mod serve;
#[path = "../../../examples/llm/spans.rs"]
mod spans;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;

use axum::Router;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower_api_span::{ApiSpanLayer, RequestBodyLayer};

use serve::Serve;

struct Arguments {
    address: SocketAddr,
    spans: Option<PathBuf>,
}

impl Serve for Arguments {
    const NAME: &'static str = "protocols";
    const USAGE: &'static str = "Serves HTTP and gRPC for tests/protocols/run.\n";

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn spans(&self) -> Option<&PathBuf> {
        self.spans.as_ref()
    }

    fn app(&self, provider: &SdkTracerProvider) -> Router {
        let layer = ApiSpanLayer::new()
            .tracer_provider(provider)
            .propagator(TraceContextPropagator::new())
            .known_rpc_methods(grpc_api::METHODS)
            .body_sizes(true);
        http_api::routes()
            .merge(grpc_api::routes())
            .layer(RequestBodyLayer::new())
            .layer(layer)
    }

    fn hints(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

fn main() -> ExitCode {
    panic::set_hook(Box::new(|info| {
        if !info.payload().is::<http_api::Intended>() {
            eprintln!("{info}");
        }
    }));
    serve::main(parse)
}

fn parse(arguments: &mut dyn Iterator<Item = OsString>) -> Result<Option<Arguments>, String> {
    let mut parsed = Arguments {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        spans: None,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("an option has no value")?;
        match name.to_str() {
            Some("--addr") => {
                let address = value.to_str().and_then(|text| text.parse().ok());
                parsed.address = address.ok_or("--addr: not an address")?;
            }
            Some("--spans") => parsed.spans = Some(value.into()),
            _ => return Err(format!("unknown option {}", name.display())),
        }
    }
    Ok(Some(parsed))
}
