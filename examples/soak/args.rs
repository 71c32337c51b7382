//! The command line.

use std::ffi::OsString;

/// The action to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Soak { requests: u64 },
    Help,
}

/// The default number of requests.
const REQUESTS: u64 = 50_000;
/// The minimal number of requests. Fewer do not take every path on every connection after the warm-up.
const MIN_REQUESTS: u64 = 20_000;

pub(crate) const USAGE: &str = "\
Sends requests through every path of tower-api-span at full speed, and counts the results.

Usage: soak [--requests N]    N is 50000 by default, and at least 20000
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
            ["--requests" | "--help" | "-h", other, ..] | [other, ..] => {
                Err(format!("unexpected argument {other:?}; see --help"))
            }
        }
    }
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
            (&["--loud"], "\"--loud\""),
        ] {
            let error = parsed(arguments).expect_err("wrong arguments");
            assert!(error.contains(expected), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }
}
