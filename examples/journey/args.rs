//! The command line.

use std::ffi::OsString;
use std::fmt::Write;
use std::net::SocketAddr;

use crate::scenarios::{self, Target};

/// The action to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Journey { draws_all: bool },
    Serve(SocketAddr),
    Help,
}

impl Command {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// One line with the fault and its remedy.
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

/// Returns the help text, with all paths.
pub(crate) fn usage() -> String {
    let mut usage = "\
Ends requests to tower-api-span in every possible way, and checks the spans.

Usage: journey [--all]         start a server, send requests, draw and check their spans;
                               --all draws every request
       journey --serve ADDR    serve the same application, until Ctrl-C
       journey --help

ADDR is an IP address and a port, such as 127.0.0.1:3000. HTTP/1.1, HTTP/2 (prior knowledge) and
gRPC are served there. Spans and log events are printed when they are emitted, metrics at the end, in
Prometheus text format. If OTEL_EXPORTER_OTLP_ENDPOINT is set (http://127.0.0.1:4317), they are
exported to that collector instead, with OTLP over gRPC. NO_COLOR switches colours off.

Paths:
"
    .to_owned();
    for scenario in scenarios::all() {
        let Target::Http { method, path } = scenario.target else {
            continue;
        };
        // Writing to a string cannot fail.
        let _ = writeln!(usage, "  {:4} {path:25} {}", method.as_str(), scenario.name);
    }
    usage.push_str(
        "  gRPC grpc.health.v1.Health     Check and Watch of service success, handler-error, cancelled,\n\
        \u{20}                                exception, uncaught or tracing-panic\n",
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
    fn arguments_are_parsed_into_a_command() {
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
    fn wrong_arguments_give_one_line_of_error() {
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
