//! The kinds of errors that the crate knows, and how it recognises them.
//!
//! The crate does not depend on tower, tower-http, tokio or http-body-util, so it cannot downcast to their errors.
//! It recognises them by what the standard library returns of any error: as a concrete type by the type's name,
//! and behind `dyn Error` by the texts of `Debug` and `Display` together. The tests run the released errors through
//! the table, so a release that changes a text turns a test red. Until then its kind is unknown, which is
//! no failure.
//!
//! Both texts must be equal from end to end. An error that only mentions "timed out" is not taken for one of these.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write};
use std::io;

/// What is known of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// `error.type`, of low cardinality.
    pub(super) kind: Cow<'static, str>,
    pub(super) type_name: &'static str,
}

const TIMEOUT: &str = "timeout";

/// An error of a crate that this one does not depend on.
struct Foreign {
    kind: &'static str,
    /// What [`type_name`] returns.
    type_name: &'static str,
    debug: &'static str,
    display: &'static str,
}

const FOREIGN: [Foreign; 5] = [
    Foreign {
        kind: TIMEOUT,
        type_name: "tower::timeout::error::Elapsed",
        debug: "Elapsed(())",
        display: "request timed out",
    },
    Foreign {
        kind: TIMEOUT,
        type_name: "tokio::time::error::Elapsed",
        debug: "Elapsed(())",
        display: "deadline has elapsed",
    },
    Foreign {
        kind: TIMEOUT,
        type_name: "tower_http::timeout::body::TimeoutError",
        debug: "TimeoutError(())",
        display: "data was not received within the designated timeout",
    },
    Foreign {
        kind: "overloaded",
        type_name: "tower::load_shed::error::Overloaded",
        debug: "Overloaded",
        display: "service overloaded",
    },
    Foreign {
        kind: "body_limit",
        type_name: "http_body_util::limited::LengthLimitError",
        debug: "LengthLimitError",
        display: "length limit exceeded",
    },
];

impl From<&Foreign> for Known {
    fn from(foreign: &Foreign) -> Self {
        Self {
            kind: Cow::Borrowed(foreign.kind),
            type_name: foreign.type_name,
        }
    }
}

/// Returns what is known of an error of this type.
pub(super) fn known_type(name: &str) -> Option<Known> {
    let found = FOREIGN.iter().find(|foreign| foreign.type_name == name);
    found.map(Known::from)
}

/// Returns what is known of an error, apart from its sources.
pub(super) fn known_error(error: &(dyn Error + 'static)) -> Option<Known> {
    let io_error = error.downcast_ref::<io::Error>();
    let io_error_kind = io_error
        .map(io::Error::kind)
        .or_else(|| os_error_kind(error));
    if let Some(kind) = io_error_kind {
        return Some(Known {
            kind: io_kind(kind)?,
            type_name: type_name::<io::Error>(),
        });
    }
    let has_texts = |foreign: &&Foreign| {
        formats_to(format_args!("{error:?}"), foreign.debug)
            && formats_to(format_args!("{error}"), foreign.display)
    };
    FOREIGN.iter().find(has_texts).map(Known::from)
}

/// Returns the kind of an error whose text is that of an error of the operating system.
///
/// A wrapper that forwards to an [`io::Error`] hides its type: `anyhow::Error` without a context in a box, or a
/// transparent variant of thiserror.
fn os_error_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    /// Refuses texts that are longer than those of the operating system.
    struct Short(String);
    impl Write for Short {
        fn write_str(&mut self, written: &str) -> fmt::Result {
            if self.0.len() + written.len() > 256 {
                return Err(fmt::Error);
            }
            self.0.push_str(written);
            Ok(())
        }
    }
    let mut text = Short(String::new());
    write!(text, "{error}").ok()?;
    let (_, code) = text.0.rsplit_once(" (os error ")?;
    let code = code.strip_suffix(')')?.parse().ok()?;
    let os_error = io::Error::from_raw_os_error(code);
    (os_error.to_string() == text.0).then(|| os_error.kind())
}

/// Returns the name of an I/O error's kind in snake case, unless the kind says nothing.
fn io_kind(kind: io::ErrorKind) -> Option<Cow<'static, str>> {
    if kind == io::ErrorKind::TimedOut {
        return Some(Cow::Borrowed(TIMEOUT));
    }
    // The variant's name. The enum grows, and has variants that cannot be named here.
    let name = format!("{kind:?}");
    if ["Other", "Uncategorized"].contains(&&*name) {
        return None;
    }
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    Some(Cow::Owned(snake))
}

/// Whether these arguments format to exactly this text. Stops at the first difference.
fn formats_to(arguments: fmt::Arguments<'_>, text: &str) -> bool {
    /// What has not been written yet.
    struct Rest<'a>(&'a str);
    impl Write for Rest<'_> {
        fn write_str(&mut self, written: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    rest.write_fmt(arguments).is_ok() && rest.0.is_empty()
}
