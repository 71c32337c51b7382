//! The command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use axum::Router;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::api;
use crate::engine::Engine;
use crate::serve::Serve;

pub(crate) struct Arguments {
    address: SocketAddr,
    spans: Option<PathBuf>,
}

impl Serve for Arguments {
    const NAME: &'static str = "llm";

    const USAGE: &'static str = "\
Serves an LLM API with a toy engine, until Ctrl-C.

Usage: llm [--addr ADDR] [--spans FILE]

  --addr ADDR    IP address and port; default: 127.0.0.1:0, any free port
  --spans FILE   write each ended span to this file, as a line of JSON; default: print them
  --help         print this help

The first line on stdout is the address of the server. Requests to try follow.

  POST /v1/chat/completions, /v1/completions, /v1/responses    OpenAI's APIs
  POST /v1/messages                                            Anthropic's API
  GET  /v1/models, /health                                     not traced

Models:
  toy            answers; also llama-4
  slow           answers, with 200 ms per token
  waits          sends a keep-alive at once, and the first token after 400 ms
  lingers        answers, and ends a stream one second after its last event
  calls-a-tool   answers with a tool call
  fails-at-K     generates K tokens, then fails
  truncates-at-K generates K tokens, then ends the response without its end
  breaks-at-K    generates K tokens, then breaks the connection
  stalls         generates 3 tokens, then hangs; also stalls-at-K
  refuses        rejects the request
";

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn spans(&self) -> Option<&PathBuf> {
        self.spans.as_ref()
    }

    fn app(&self, provider: &SdkTracerProvider) -> Router {
        api::routes(Engine::new(provider), provider)
    }

    fn hints(&self, url: &str) -> Vec<String> {
        let messages = r#""messages":[{"role":"user","content":"Hello"}]"#;
        vec![
            format!(
                r#"curl -N {url}/v1/chat/completions --json '{{"model":"llama-4","stream":true,{messages}}}'"#
            ),
            format!(
                r#"curl -N {url}/v1/responses --json '{{"model":"fails-at-3","stream":true,"input":"Hello"}}'"#
            ),
            format!(
                r#"curl -N {url}/v1/messages --json '{{"model":"waits","stream":true,"max_tokens":9,{messages}}}'"#
            ),
        ]
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
    let mut parsed = Arguments {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        spans: None,
    };
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--addr") => {
                let address = arguments
                    .next()
                    .ok_or("--addr needs an address, such as 127.0.0.1:8000")?;
                let address = address.to_string_lossy();
                parsed.address = address.parse().map_err(|_| {
                    format!("{address:?} is not an address; give one such as 127.0.0.1:8000")
                })?;
            }
            Some("--spans") => {
                let file = arguments.next().ok_or("--spans needs a file")?;
                parsed.spans = Some(file.into());
            }
            Some("--help" | "-h") => return Ok(None),
            _ => {
                let argument = argument.to_string_lossy();
                return Err(format!("unexpected argument {argument:?}; see --help"));
            }
        }
    }
    Ok(Some(parsed))
}
