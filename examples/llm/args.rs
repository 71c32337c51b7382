//! The command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// How to use it.
pub(crate) const USAGE: &str = "\
Serves an LLM API as OpenAI's clients expect it, with a toy for an engine, until Ctrl-C.

Usage: llm [--addr ADDR] [--spans FILE]

  --addr ADDR    an IP address and a port; 127.0.0.1:0, which is any free port, if not given
  --spans FILE   write each span that ends to this file, as a line of JSON; if not given, they are
                 printed
  --help         this

The first line on stdout says where it listens.

  POST /v1/chat/completions, /v1/completions
  GET  /v1/models, /health                     not traced

What the models do:
  toy            answers
  slow           answers, 200 ms a token
  lingers        answers, and ends a stream a second after its last event
  fails-at-K     makes K tokens, then fails
  stalls         makes 3 tokens, then nothing for ever; also stalls-at-K
  refuses        refuses the request
";

/// What is to be done.
pub(crate) enum Command {
    Serve(Serve),
    Help,
}

pub(crate) struct Serve {
    pub(crate) address: SocketAddr,
    /// Where spans are written to; without it they are printed.
    pub(crate) spans: Option<PathBuf>,
}

impl Command {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong and what to do.
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
