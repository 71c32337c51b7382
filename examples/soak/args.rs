//! The command line.

use std::ffi::OsString;
use std::time::Duration;

/// The action to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Soak { requests: u64 },
    Reloads { simulated: Duration },
    Help,
}

/// The default number of requests.
const REQUESTS: u64 = 50_000;
/// The minimal number of requests. Fewer do not take every path on every connection after the warm-up.
const MIN_REQUESTS: u64 = 20_000;
/// The default time of simulated operation.
const SIMULATED: Duration = Duration::from_secs(2 * 60 * 60);
/// The minimal one: two rounds of the plan.
const MIN_SIMULATED: Duration = Duration::from_secs(15 * 60);

pub(crate) const USAGE: &str = "\
Sends requests through every path of tower-api-span at full speed, and counts the results.

Usage: soak [--requests N]    N is 50000 by default, and at least 20000
       soak --reloads [TIME]  replaces the global providers for a simulated time of operation,
                              such as 15m or 2h; 2h by default, and at least 15m
       soak --help

The exit code is 0 if all is as expected, 1 if not, and 2 if the arguments are wrong. For meaningful
figures use a release build: cargo run --release --example soak -- --requests 1000000
";

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
            [] => Ok(Self::Soak { requests: REQUESTS }),
            ["--help" | "-h"] => Ok(Self::Help),
            ["--reloads"] => Ok(Self::Reloads {
                simulated: SIMULATED,
            }),
            ["--reloads", time] => match duration(time) {
                Some(simulated) if simulated >= MIN_SIMULATED => Ok(Self::Reloads { simulated }),
                Some(_) => Err(format!("{time} is too short; give 15m or more")),
                None => Err(format!(
                    "{time:?} is not a time; give one such as 15m or 2h"
                )),
            },
            ["--requests"] => Err("--requests needs a number, such as 50000".to_owned()),
            ["--requests", number] => match number.parse() {
                Ok(requests) if requests >= MIN_REQUESTS => Ok(Self::Soak { requests }),
                Ok(_) => Err(format!(
                    "{number} requests are too few; give {MIN_REQUESTS} or more"
                )),
                Err(_) => Err(format!(
                    "{number:?} is not a number of requests; give one such as {REQUESTS}"
                )),
            },
            ["--requests" | "--reloads" | "--help" | "-h", other, ..] | [other, ..] => {
                Err(format!("unexpected argument {other:?}; see --help"))
            }
        }
    }
}

/// Parses minutes or hours, such as `15m` or `2h`.
fn duration(text: &str) -> Option<Duration> {
    let (number, seconds) = match text.strip_suffix('h') {
        Some(hours) => (hours, 60 * 60),
        None => (text.strip_suffix('m')?, 60),
    };
    let number: u64 = number.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        Command::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn arguments_are_parsed_into_a_command() {
        for (arguments, expected) in [
            (&[][..], Command::Soak { requests: 50_000 }),
            (
                &["--requests", "1000000"],
                Command::Soak {
                    requests: 1_000_000,
                },
            ),
            (
                &["--reloads"],
                Command::Reloads {
                    simulated: Duration::from_secs(7_200),
                },
            ),
            (
                &["--reloads", "20m"],
                Command::Reloads {
                    simulated: Duration::from_secs(1_200),
                },
            ),
            (&["--help"], Command::Help),
            (&["-h"], Command::Help),
        ] {
            assert_eq!(parsed(arguments), Ok(expected), "{arguments:?}");
        }
    }

    #[test]
    fn wrong_arguments_give_one_line_of_error() {
        for (arguments, expected) in [
            (&["--requests"][..], "needs a number"),
            (&["--requests", "many"], "\"many\" is not a number"),
            (&["--requests", "-1"], "\"-1\" is not a number"),
            (&["--requests", "10"], "too few"),
            (&["--requests", "50000", "more"], "unexpected"),
            (&["--reloads", "5"], "\"5\" is not a time"),
            (&["--reloads", "5m"], "too short"),
            (&["--reloads", "15m", "more"], "unexpected"),
            (&["--loud"], "\"--loud\""),
        ] {
            let error = parsed(arguments).expect_err("wrong arguments");
            assert!(error.contains(expected), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }
}
