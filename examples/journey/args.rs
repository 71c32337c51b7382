//! The command line.

use std::ffi::OsString;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::scenarios::{self, Scenario, Target};

/// The action to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Journey(Options),
    Serve(SocketAddr),
    Help,
}

/// What is drawn and exported, and where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) draws_all: bool,
    /// Parts of names or targets. Empty: no scenario is left out.
    pub(crate) only: Vec<String>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
    /// The URL of a collector.
    pub(crate) collector: Option<String>,
}

impl Options {
    /// Whether a scenario is drawn.
    pub(crate) fn draws(&self, scenario: &Scenario) -> bool {
        if self.only.is_empty() {
            self.draws_all || scenario.is_drawn
        } else {
            self.only.iter().any(|text| scenario.matches(text))
        }
    }
}

impl Command {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// One line with the fault and its remedy.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let arguments: Vec<_> = arguments.collect();
        let texts: Vec<_> = arguments
            .iter()
            .map(|text| text.to_string_lossy())
            .collect();
        let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
        match texts[..] {
            ["--help" | "-h"] => Ok(Self::Help),
            ["--serve"] => Err("--serve needs an address, such as 127.0.0.1:3000".to_owned()),
            ["--serve", address] => address.parse().map(Self::Serve).map_err(|_| {
                format!("{address:?} is not an address; give one such as 127.0.0.1:3000")
            }),
            ["--serve" | "--help" | "-h", _, other, ..] | ["--help" | "-h", other] => {
                Err(unexpected(other))
            }
            _ => options(arguments.into_iter()).map(Self::Journey),
        }
    }
}

fn options(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy();
        let mut value = |example| {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs {example}"))
        };
        match &*argument {
            "--all" => options.draws_all = true,
            "--svg" => options.svg = Some(value("a file, such as journey.svg")?.into()),
            "--html" => options.html = Some(value("a file, such as journey.html")?.into()),
            "--otlp" => {
                let url = value("the URL of a collector, such as http://127.0.0.1:4317")?;
                options.collector = Some(collector(&url.to_string_lossy())?);
            }
            "--only" => {
                let text = value("a part of a name or a path, such as /success/streaming")?;
                options.only.push(scenario_text(&text.to_string_lossy())?);
            }
            other => return Err(unexpected(other)),
        }
    }
    Ok(options)
}

/// The exporter is built without TLS.
fn collector(url: &str) -> Result<String, String> {
    if url.starts_with("http://") {
        Ok(url.to_owned())
    } else {
        Err(format!(
            "{url:?} does not start with http://; give a URL such as http://127.0.0.1:4317"
        ))
    }
}

fn scenario_text(text: &str) -> Result<String, String> {
    let mut scenarios = scenarios::all().into_iter();
    if scenarios.any(|scenario| scenario.matches(text)) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "no request has {text:?} in its name or path; --help lists them"
        ))
    }
}

fn unexpected(argument: &str) -> String {
    format!("unexpected argument {argument:?}; see --help")
}

/// Returns the help text, with all paths.
pub(crate) fn usage() -> String {
    let mut usage = "\
Ends requests to tower-api-span in every possible way, and checks the spans.

Usage: journey [OPTION]...     start a server, send requests, draw and check their spans
       journey --serve ADDR    serve the same application, until Ctrl-C
       journey --help

Options:
  --all          draw every request, in each protocol
  --only TEXT    draw the requests with this text in their name or path; may be repeated
  --svg FILE     draw in an SVG file, too
  --html FILE    draw in an HTML file, too
  --otlp URL     export the spans to the collector at this URL, with OTLP over gRPC

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
            (&[][..], Command::Journey(Options::default())),
            (
                &["--all"],
                Command::Journey(Options {
                    draws_all: true,
                    ..Options::default()
                }),
            ),
            (
                &[
                    "--svg", "a b.svg", "--html", "b.html", "--otlp", "http://c", "--only", "404",
                    "--only", "HEAD",
                ],
                Command::Journey(Options {
                    draws_all: false,
                    only: vec!["404".to_owned(), "HEAD".to_owned()],
                    svg: Some("a b.svg".into()),
                    html: Some("b.html".into()),
                    collector: Some("http://c".to_owned()),
                }),
            ),
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
            (&["--help", "--loud"], "\"--loud\""),
            (&["--svg"], "--svg needs a file, such as"),
            (&["--html"], "--html needs a file, such as"),
            (&["--otlp"], "--otlp needs the URL"),
            (&["--otlp", "localhost:4317"], "does not start with http://"),
            (&["--only"], "--only needs a part"),
            (
                &["--only", "no such name"],
                "no request has \"no such name\"",
            ),
        ] {
            let error = parsed(arguments).expect_err("wrong arguments");
            assert!(error.contains(expected), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }

    #[test]
    fn only_selects_by_name_or_path() {
        let drawn = |arguments: &[&str]| {
            let Ok(Command::Journey(options)) = parsed(arguments) else {
                panic!("options: {arguments:?}");
            };
            let scenarios = scenarios::all().into_iter();
            let drawn = scenarios.filter(|scenario| options.draws(scenario));
            drawn.map(|scenario| scenario.name).collect::<Vec<_>>()
        };
        assert_eq!(drawn(&["--only", "404"]), ["unknown path: 404"]);
        assert_eq!(
            drawn(&["--only", "/success/buffered", "--only", "404"]),
            ["success, buffered", "HEAD", "unknown path: 404"]
        );
        assert_eq!(drawn(&["--all"]).len(), scenarios::all().len());
        assert!(drawn(&[]).len() < scenarios::all().len());
    }
}
