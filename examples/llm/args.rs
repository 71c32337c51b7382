//! The command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The help text.
pub(crate) const USAGE: &str = "\
Serves an OpenAI-compatible LLM API with a toy engine, until Ctrl-C.

Usage: llm [--addr ADDR] [--spans FILE]

  --addr ADDR    IP address and port; default: 127.0.0.1:0, any free port
  --spans FILE   write each ended span to this file, as a line of JSON; default: print them
  --help         print this help

The first line on stdout is the address of the server.

  POST /v1/chat/completions, /v1/completions
  GET  /v1/models, /health                     not traced

Models:
  toy            answers
  slow           answers, with 200 ms per token
  lingers        answers, and ends a stream one second after its last event
  fails-at-K     generates K tokens, then fails
  stalls         generates 3 tokens, then hangs; also stalls-at-K
  refuses        rejects the request
";

/// The action to run.
pub(crate) enum Command {
    Serve(Serve),
    Help,
}

pub(crate) struct Serve {
    pub(crate) address: SocketAddr,
    /// The file that spans are written to; `None` prints them.
    pub(crate) spans: Option<PathBuf>,
}

impl Command {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// One line with the fault and its remedy.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut serve = Serve {
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
                    serve.address = address.parse().map_err(|_| {
                        format!("{address:?} is not an address; give one such as 127.0.0.1:8000")
                    })?;
                }
                Some("--spans") => {
                    let file = arguments.next().ok_or("--spans needs a file")?;
                    serve.spans = Some(file.into());
                }
                Some("--help" | "-h") => return Ok(Self::Help),
                _ => {
                    let argument = argument.to_string_lossy();
                    return Err(format!("unexpected argument {argument:?}; see --help"));
                }
            }
        }
        Ok(Self::Serve(serve))
    }
}
