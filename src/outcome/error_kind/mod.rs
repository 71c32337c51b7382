//! What an error of a service or a body says: its message, and its kind for `error.type`.

mod known;

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::error::Error;
use std::fmt::Display;
use std::io;
use std::iter::successors;
use std::sync::Arc;

use crate::catch_panic::PanicReport;
use crate::text::{format_bounded, truncate};
use known::{known_error, known_type};

/// Any error, behind a reference.
pub(crate) type DynError = dyn Error + 'static;

/// What an error says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorDescription {
    /// The texts of the error and its sources, from the outermost in, truncated to 1,024 bytes.
    pub(crate) message: Option<String>,
    /// `error.type`: the operator's name, else the known kind.
    pub(crate) error_type: Option<Cow<'static, str>>,
    /// The Rust type, unless it is unknown behind `dyn Error`.
    pub(crate) type_name: Option<&'static str>,
}

/// The most errors that are read of a chain. A `source` may return its own error.
const MAX_ERRORS: usize = 32;

/// Describes an error. `name` is the operator's answer for each error of the chain.
pub(crate) fn describe_error<E: Display + 'static>(
    error: &E,
    panics: &PanicReport,
    name: impl Fn(&DynError) -> Option<Cow<'static, str>>,
) -> ErrorDescription {
    let type_name = type_name::<E>();
    if let Some(error) = as_dyn_error(error) {
        return describe_chain(&chain_of(error, panics), panics, &name, type_name);
    }
    ErrorDescription {
        message: format_bounded(error, panics),
        error_type: known_type(type_name).map(|known| known.kind),
        type_name: named(type_name),
    }
}

fn describe_chain(
    chain: &[&DynError],
    panics: &PanicReport,
    name: &dyn Fn(&DynError) -> Option<Cow<'static, str>>,
    outermost: &'static str,
) -> ErrorDescription {
    let mut innermost_first = chain.iter().rev();
    let known = innermost_first.find_map(|error| panics.catch(|| known_error(*error)).flatten());
    let (kind, known_type) = known.map(|known| (known.kind, known.type_name)).unzip();
    let by_operator = chain.iter().find_map(|error| name(*error));
    ErrorDescription {
        message: format_chain(chain, panics),
        error_type: by_operator.or(kind),
        type_name: known_type.or_else(|| named(outermost)),
    }
}

/// Returns the name of an error's type, unless that is a box for any error.
fn named(type_name: &'static str) -> Option<&'static str> {
    let is_any = ["alloc::boxed::Box<dyn ", "alloc::sync::Arc<dyn "]
        .iter()
        .any(|pointer| type_name.starts_with(pointer));
    (!is_any).then_some(type_name)
}

/// Returns the error as `dyn Error`, if its type is one of these.
///
/// A type of the service's needs only `Display`, and stable Rust cannot ask whether it also is an `Error`.
fn as_dyn_error<E: 'static>(error: &E) -> Option<&DynError> {
    let error: &dyn Any = error;
    macro_rules! first_of {
        ($($pointer:ty),+) => {
            None $(.or_else(|| Some(&**error.downcast_ref::<$pointer>()? as &DynError)))+
        };
    }
    let pointed = first_of!(
        Box<dyn Error + Send + Sync>,
        Box<dyn Error + Send>,
        Box<dyn Error>,
        Arc<dyn Error + Send + Sync>
    );
    let pointed = pointed.or_else(|| Some(error.downcast_ref::<io::Error>()? as &DynError));
    #[cfg(feature = "axum")]
    let pointed = pointed.or_else(|| Some(error.downcast_ref::<axum::Error>()? as &DynError));
    pointed
}

/// Returns the error and its sources, from the outermost in.
fn chain_of<'a>(error: &'a DynError, panics: &PanicReport) -> Vec<&'a DynError> {
    let next = |error: &&'a DynError| panics.catch(|| source_of(*error)).flatten();
    successors(Some(error), next).take(MAX_ERRORS).collect()
}

fn source_of(error: &DynError) -> Option<&DynError> {
    // `source` of an I/O error skips the error in it.
    let inside = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    inside.map_or_else(|| error.source(), |error| Some(error))
}

/// Joins the texts of the errors, without those with which the text so far ends.
fn format_chain(chain: &[&DynError], panics: &PanicReport) -> Option<String> {
    let mut message: Option<String> = None;
    for error in chain {
        let Some(text) = format_bounded(*error, panics) else {
            continue;
        };
        match &mut message {
            None => message = Some(text),
            Some(message) if ends_with_text(message, &text) => {}
            Some(message) => {
                message.push_str(": ");
                message.push_str(&text);
                message.truncate(truncate(message).len());
            }
        }
    }
    message
}

/// Whether a message ends with a text that begins at a word.
fn ends_with_text(message: &str, text: &str) -> bool {
    let rest = message.strip_suffix(text);
    rest.is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests;
