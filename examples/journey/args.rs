//! The command line.

use std::ffi::OsString;
use std::fmt::Write;
use std::net::SocketAddr;

use crate::scenarios::{self, Asks};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Journey { draws_all: bool },
    Serve(SocketAddr),
    Help,
}

impl Command {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong and what to do.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let arguments: Vec<_> = arguments
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            [] => Ok(Self::Journey { draws_all: false }),
            ["--all"] => Ok(Self::Journey { draws_all: true }),
            ["--help" | "-h"] => Ok(Self::Help),
            ["--serve"] => Err("--serve needs an address, such as 127.0.0.1:3000".to_owned()),
            ["--serve", address] => address.parse().map(Self::Serve).map_err(|_| {
                format!("{address:?} is not an address; give one such as 127.0.0.1:3000")
            }),
            ["--serve" | "--all" | "--help" | "-h", other, ..] | [other, ..] => {
                Err(format!("unexpected argument {other:?}; see --help"))
            }
        }
    }
}

/// How to use it, with the paths that are served.
pub(crate) fn usage() -> String {
    let mut usage = "\
Takes tower-api-span through every way a request can end, and checks its spans.

Usage: journey [--all]         make requests to a server of its own, draw and check their spans;
                               with --all, draw every one of them
       journey --serve ADDR    serve the same application, until Ctrl-C
       journey --help

ADDR is an IP address and a port, such as 127.0.0.1:3000. HTTP/1.1, HTTP/2 (prior knowledge) and
gRPC are served there. Spans and log events are printed as they come, metrics at the end, in
Prometheus' text format; if OTEL_EXPORTER_OTLP_ENDPOINT is set, all are exported to that collector
instead, with OTLP over gRPC (http://127.0.0.1:4317). NO_COLOR switches colours off.

What to ask for:
"
    .to_owned();
    for scenario in scenarios::all() {
        let Asks::Http { method, path } = scenario.asks else {
            continue;
        };
        // Nothing can go wrong in writing to a string.
        let _ = writeln!(usage, "  {:4} {path:24} {}", method.as_str(), scenario.name);
    }
    usage.push_str(
        "  gRPC grpc.health.v1.Health    Check and Watch of service success, told, cancelled,\n\
        \u{20}                               exception, uncaught or telemetry\n",
    );
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        Command::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn what_is_asked_for() {
        let address = SocketAddr::from(([127, 0, 0, 1], 3_000));
        for (arguments, expected) in [
            (&[][..], Command::Journey { draws_all: false }),
            (&["--all"], Command::Journey { draws_all: true }),
            (&["--serve", "127.0.0.1:3000"], Command::Serve(address)),
            (&["--help"], Command::Help),
            (&["-h"], Command::Help),
        ] {
            assert_eq!(parsed(arguments), Ok(expected), "{arguments:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (arguments, expected) in [
            (&["--serve"][..], "needs an address"),
            (&["--serve", "nowhere"], "\"nowhere\" is not an address"),
            (&["--serve", "127.0.0.1:80", "more"], "unexpected"),
            (&["--loud"], "\"--loud\""),
            (&["--all", "--loud"], "\"--loud\""),
        ] {
            let error = parsed(arguments).expect_err("wrong arguments");
            assert!(error.contains(expected), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }
}
