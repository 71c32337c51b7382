//! The command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::http::uri::{Scheme, Uri};
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::api;
use crate::serve::Serve;
use crate::upstream::Upstream;

pub(crate) struct Arguments {
    upstream: Uri,
    address: SocketAddr,
    timeout: Duration,
    spans: Option<PathBuf>,
}

const TIMEOUT: Duration = Duration::from_secs(60);

impl Serve for Arguments {
    const NAME: &'static str = "gateway";

    const USAGE: &'static str = "\
Passes requests on to an LLM API, until Ctrl-C.

Usage: gateway --upstream URL [--addr ADDR] [--timeout SECONDS] [--spans FILE]

  --upstream URL      the API, such as http://127.0.0.1:8000
  --addr ADDR         IP address and port; default: 127.0.0.1:0, any free port
  --timeout SECONDS   time limit for the head of the upstream's response; default: 60
  --spans FILE        write each ended span to this file, as a line of JSON; default: print them
  --help              print this help

The first line on stdout is the address of the server. A request to try follows.

How the outcomes differ:
  no connection                502, ABORTED(upstream_unreachable)
  no head in time              504, ABORTED(upstream_timeout)
  another failure before it    502, ABORTED(upstream_failed)
  a response with 4xx or 5xx   passed on; validation_error, client_error, exception
  the connection breaks        passed on; exception
  a stream without its end     passed on; truncated_stream
  an error in the stream       passed on; generation_error
  the client disconnects       the call is cancelled; client_disconnect
";

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn spans(&self) -> Option<&PathBuf> {
        self.spans.as_ref()
    }

    fn app(&self, provider: &SdkTracerProvider) -> Router {
        let upstream = Upstream::new(&self.upstream, self.timeout, provider);
        api::routes(upstream, provider)
    }

    fn hints(&self, url: &str) -> Vec<String> {
        let body =
            r#"{"model":"toy","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
        vec![format!("curl -N {url}/v1/chat/completions --json '{body}'")]
    }
}

/// Parses the arguments after the program's name; `None` means the help text.
///
/// # Errors
///
/// One line with the fault and its remedy.
pub(crate) fn parse(
    arguments: &mut dyn Iterator<Item = OsString>,
) -> Result<Option<Arguments>, String> {
    let mut upstream = None;
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut timeout = TIMEOUT;
    let mut spans = None;
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy().into_owned();
        let mut value = |example: &str| {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs a value, such as {example}"))
        };
        match &*argument {
            "--upstream" => upstream = Some(parse_upstream(&value("http://127.0.0.1:8000")?)?),
            "--addr" => {
                let given = value("127.0.0.1:8080")?;
                let given = given.to_string_lossy();
                address = given.parse().map_err(|_| {
                    format!("{given:?} is not an address; give one such as 127.0.0.1:8080")
                })?;
            }
            "--timeout" => timeout = parse_seconds(&value("2.5")?)?,
            "--spans" => spans = Some(value("spans.jsonl")?.into()),
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unexpected argument {argument:?}; see --help")),
        }
    }
    Ok(Some(Arguments {
        upstream: upstream.ok_or("--upstream is missing; see --help")?,
        address,
        timeout,
        spans,
    }))
}

fn parse_upstream(given: &OsString) -> Result<Uri, String> {
    let given = given.to_string_lossy();
    let uri = given.parse::<Uri>().ok().filter(|uri| {
        let has_no_path = uri.path() == "/" && uri.query().is_none();
        uri.scheme() == Some(&Scheme::HTTP) && has_no_path
    });
    let problem = || format!("{given:?} is no upstream; give one such as http://127.0.0.1:8000");
    uri.ok_or_else(problem)
}

fn parse_seconds(given: &OsString) -> Result<Duration, String> {
    let given = given.to_string_lossy();
    let seconds = given.parse().ok();
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| format!("{given:?} is no time; give seconds such as 2.5"))
}
