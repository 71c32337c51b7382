//! The command line.

use std::ffi::OsString;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Soak { requests: u64 },
    Help,
}

/// How many requests are made if nothing is said.
const REQUESTS: u64 = 50_000;
/// Fewer do not take every path through every connection once it is warm.
const LEAST: u64 = 20_000;

pub(crate) const USAGE: &str = "\
Takes requests down every path through tower-api-span at full speed, and counts what comes of them.

Usage: soak [--requests N]    N is 50000 by default, and at least 20000
       soak --help

The exit code is 0 if all is as intended, 1 if not, and 2 if the arguments are wrong. The figures are
those of a release build: cargo run --release --example soak -- --requests 1000000
";

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
            [] => Ok(Self::Soak { requests: REQUESTS }),
            ["--help" | "-h"] => Ok(Self::Help),
            ["--requests"] => Err("--requests needs a number, such as 50000".to_owned()),
            ["--requests", number] => match number.parse() {
                Ok(requests) if requests >= LEAST => Ok(Self::Soak { requests }),
                Ok(_) => Err(format!(
                    "{number} requests are too few; give {LEAST} or more"
                )),
                Err(_) => Err(format!(
                    "{number:?} is no number of requests; give one such as {REQUESTS}"
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
    fn what_is_asked_for() {
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
    fn what_is_wrong_is_said_in_one_line() {
        for (arguments, expected) in [
            (&["--requests"][..], "needs a number"),
            (&["--requests", "many"], "\"many\" is no number"),
            (&["--requests", "-1"], "\"-1\" is no number"),
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
