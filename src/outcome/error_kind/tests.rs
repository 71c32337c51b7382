use std::any::type_name_of_val;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use tower::BoxError;

use super::*;
use crate::text::MAX_BYTES;

static PANICS: PanicReport = PanicReport::new("test");

/// Describes an error for which the operator has no name.
fn describe<E: Display + 'static>(error: &E) -> ErrorDescription {
    describe_error(error, &PANICS, |_| None)
}

/// Returns `error.type`.
fn kind(error: impl Into<BoxError>) -> Option<String> {
    describe(&error.into()).error_type.map(Cow::into_owned)
}

fn message(error: impl Into<BoxError>) -> Option<String> {
    describe(&error.into()).message
}

/// An error with this text and source.
#[derive(Debug)]
struct Layered(&'static str, Option<BoxError>);

impl fmt::Display for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Layered {
    fn source(&self) -> Option<&DynError> {
        self.1.as_deref().map(|source| source as &DynError)
    }
}

fn around(text: &'static str, source: impl Into<BoxError>) -> Layered {
    Layered(text, Some(source.into()))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

fn tokio_elapsed() -> tokio::time::error::Elapsed {
    let never = std::future::pending::<()>();
    run(async { tokio::time::timeout(Duration::ZERO, never).await }).expect_err("a time-out")
}

/// A body that yields no frame.
#[derive(Default)]
struct Silent;

impl http_body::Body for Silent {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

fn tower_http_timeout() -> tower_http::timeout::TimeoutError {
    let body = tower_http::timeout::TimeoutBody::new(Duration::from_secs(1), Silent);
    let error = run(async { Box::pin(body).frame().await });
    let error = error.expect("a frame").expect_err("a time-out");
    *error.downcast().expect("tower-http's error")
}

fn length_limit() -> http_body_util::LengthLimitError {
    let body = Limited::new(Full::new(bytes::Bytes::from_static(b"four")), 3);
    let error = run(body.collect()).expect_err("the limit");
    *error.downcast().expect("http-body-util's error")
}

/// Checks that an error is known as a concrete type, in each box, and as a source.
fn assert_known<E>(error: fn() -> E, kind: &str)
where
    E: Error + Send + Sync + 'static,
{
    let name = type_name_of_val(&error());
    let text = error().to_string();
    let wrapped = format!("outer: {text}");
    for (rule, description, message) in [
        ("concrete", describe(&error()), &text),
        (
            "Send + Sync",
            describe(&(Box::new(error()) as Box<dyn Error + Send + Sync>)),
            &text,
        ),
        (
            "Send",
            describe(&(Box::new(error()) as Box<dyn Error + Send>)),
            &text,
        ),
        (
            "neither",
            describe(&(Box::new(error()) as Box<dyn Error>)),
            &text,
        ),
        (
            "Arc",
            describe(&(Arc::new(error()) as Arc<dyn Error + Send + Sync>)),
            &text,
        ),
        ("in io::Error", describe(&io::Error::other(error())), &text),
        #[cfg(feature = "axum")]
        (
            "in axum::Error",
            describe(&axum::Error::new(error())),
            &text,
        ),
        (
            "as a source",
            describe(&BoxError::from(around("outer", error()))),
            &wrapped,
        ),
    ] {
        let expected = ErrorDescription {
            message: Some(message.clone()),
            error_type: Some(Cow::Owned(kind.to_owned())),
            type_name: Some(name),
        };
        assert_eq!(description, expected, "{rule}");
    }
}

/// If one fails after an update, the crate has changed a text: change the table.
#[test]
fn the_released_errors_are_known() {
    assert_known(tower::timeout::error::Elapsed::new, "timeout");
    assert_known(tokio_elapsed, "timeout");
    assert_known(tower_http_timeout, "timeout");
    assert_known(tower::load_shed::error::Overloaded::new, "overloaded");
    assert_known(length_limit, "body_limit");
}

#[test]
fn a_look_alike_is_not_known() {
    /// Has the `Display` of tower's time-out, and another `Debug`.
    #[derive(Debug)]
    struct OwnTimeout;
    impl fmt::Display for OwnTimeout {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("request timed out")
        }
    }
    impl Error for OwnTimeout {}

    /// Has the `Debug` of the time-outs, and another `Display`.
    #[derive(Debug)]
    struct Elapsed(());
    impl fmt::Display for Elapsed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let Self(()) = self;
            f.write_str("request timed out after 3 s")
        }
    }
    impl Error for Elapsed {}

    /// Has the beginnings of both texts.
    struct Shorter;
    impl fmt::Debug for Shorter {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Elapsed")
        }
    }
    impl fmt::Display for Shorter {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("request")
        }
    }
    impl Error for Shorter {}

    for (rule, found) in [
        ("shorter texts", kind(Shorter)),
        ("another Debug", kind(OwnTimeout)),
        ("a longer Display", kind(Elapsed(()))),
        ("a text", kind("request timed out")),
        ("a text that mentions it", kind("the upload timed out")),
        ("a shorter text", kind("request")),
        ("no text", kind("")),
        (
            "a concrete type",
            describe(&OwnTimeout).error_type.map(Cow::into_owned),
        ),
    ] {
        assert_eq!(found, None, "{rule}");
    }
}

#[test]
fn an_io_error_is_known_by_its_kind() {
    for (io_kind, expected) in [
        (ErrorKind::TimedOut, Some("timeout")),
        (ErrorKind::ConnectionReset, Some("connection_reset")),
        (ErrorKind::BrokenPipe, Some("broken_pipe")),
        (ErrorKind::UnexpectedEof, Some("unexpected_eof")),
        (ErrorKind::WriteZero, Some("write_zero")),
        (ErrorKind::AddrNotAvailable, Some("addr_not_available")),
        (ErrorKind::Other, None),
    ] {
        let expected = expected.map(str::to_owned);
        assert_eq!(kind(io::Error::from(io_kind)), expected, "{io_kind:?}");
        let concrete = describe(&io::Error::new(io_kind, "boom"));
        assert_eq!(concrete.error_type.map(Cow::into_owned), expected);
        assert_eq!(concrete.message.as_deref(), Some("boom"));
        assert_eq!(concrete.type_name, Some("std::io::error::Error"));
    }
    // What the system returns for a number without a name of its own.
    assert_eq!(kind(io::Error::from_raw_os_error(i32::MAX)), None);
}

#[test]
fn the_innermost_known_error_decides() {
    let elapsed = tower::timeout::error::Elapsed::new;
    for (rule, error, expected) in [
        (
            "an unknown error around it",
            around("outer", elapsed()),
            Some("timeout"),
        ),
        (
            "an unknown error in it",
            around("outer", io::Error::new(ErrorKind::BrokenPipe, "boom")),
            Some("broken_pipe"),
        ),
        (
            "a known error around it",
            around(
                "outer",
                io::Error::new(ErrorKind::InvalidData, length_limit()),
            ),
            Some("body_limit"),
        ),
        ("none", around("outer", "inner"), None),
    ] {
        assert_eq!(kind(error).as_deref(), expected, "{rule}");
    }
}

#[test]
fn the_operators_name_of_the_outermost_error_decides() {
    let error: BoxError = around(
        "outer",
        around("middle", io::Error::from(ErrorKind::BrokenPipe)),
    )
    .into();
    let name = |named: &'static [&str]| {
        let asked = std::cell::RefCell::new(Vec::new());
        let description = describe_error(&error, &PANICS, |error| {
            asked.borrow_mut().push(error.to_string());
            let found = named.iter().find(|text| error.to_string() == **text)?;
            Some(Cow::Borrowed(*found))
        });
        (description.error_type.expect("a kind"), asked.into_inner())
    };
    assert_eq!(
        name(&["middle", "outer"]),
        ("outer".into(), vec!["outer".to_owned()])
    );
    assert_eq!(
        name(&["middle", "broken pipe"]),
        (
            "middle".into(),
            vec!["outer".to_owned(), "middle".to_owned()]
        )
    );
    let (kind, asked) = name(&[]);
    assert_eq!((&*kind, asked.len()), ("broken_pipe", 3), "{asked:?}");
}

#[test]
fn the_message_has_the_texts_of_the_chain() {
    for (rule, error, expected) in [
        ("no source", Layered("outer", None), "outer"),
        (
            "sources",
            around("outer", around("middle", "inner")),
            "outer: middle: inner",
        ),
        (
            "a text that is repeated",
            around("outer: inner", "inner"),
            "outer: inner",
        ),
        (
            "the same text",
            around("inner", around("inner", "cause")),
            "inner: cause",
        ),
        (
            "all texts repeated",
            around("outer: middle: inner", around("middle: inner", "inner")),
            "outer: middle: inner",
        ),
        (
            "a text that ends a word",
            around("status 51", "1"),
            "status 51: 1",
        ),
        ("an empty text", around("", around("middle", "")), "middle"),
        (
            "an I/O error around one",
            around("outer", io::Error::other(around("a", "b"))),
            "outer: a: b",
        ),
    ] {
        assert_eq!(message(error).as_deref(), Some(expected), "{rule}");
    }
    assert_eq!(message(Layered("", None)), None);
}

#[test]
fn the_message_of_a_chain_is_truncated() {
    let long = "ä".repeat(400);
    let error = around("outer", around("middle", around("x", long.clone())));
    let error = Layered("first", Some(around("second", error).into()));
    let whole = message(error).expect("a message");
    assert!(whole.ends_with(&long) && whole.len() < MAX_BYTES);
    let error = (0..10).fold(BoxError::from(long), |error, _| {
        around(
            "a text of some length, which differs from the one in it",
            around("b", error),
        )
        .into()
    });
    let cut = message(Layered("x", Some("ä".repeat(600).into()))).expect("a message");
    assert!(
        (MAX_BYTES - 1..=MAX_BYTES).contains(&cut.len()),
        "{}",
        cut.len()
    );
    assert!(message(error).expect("a message").len() <= MAX_BYTES);
}

#[test]
fn an_error_that_is_its_own_source_is_read_to_a_limit() {
    #[derive(Debug)]
    struct Circle;
    impl fmt::Display for Circle {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("circle")
        }
    }
    impl Error for Circle {
        fn source(&self) -> Option<&DynError> {
            Some(self)
        }
    }
    assert_eq!(message(Circle).as_deref(), Some("circle"));
    let asked = std::cell::Cell::new(0);
    let error: BoxError = Circle.into();
    describe_error(&error, &PANICS, |_| {
        asked.set(asked.get() + 1);
        None
    });
    assert_eq!(asked.get(), MAX_ERRORS);
}

#[test]
fn a_panic_leaves_out_what_panics() {
    #[derive(Clone, Copy, PartialEq)]
    enum In {
        Debug,
        Display,
        Source,
    }
    struct Panics(In, io::Error);
    impl Panics {
        fn at(&self, place: In) {
            assert!(self.0 != place, "the error panics");
        }
    }
    impl fmt::Debug for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.at(In::Debug);
            Ok(())
        }
    }
    impl fmt::Display for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.at(In::Display);
            f.write_str("middle")
        }
    }
    impl Error for Panics {
        fn source(&self) -> Option<&DynError> {
            self.at(In::Source);
            Some(&self.1)
        }
    }
    for (place, message, kind) in [
        (In::Debug, "outer: middle: boom", Some("broken_pipe")),
        (In::Display, "outer: boom", Some("broken_pipe")),
        (In::Source, "outer: middle", None),
    ] {
        let inner = io::Error::new(ErrorKind::BrokenPipe, "boom");
        let error: BoxError = around("outer", Panics(place, inner)).into();
        let description = describe(&error);
        assert_eq!(description.message.as_deref(), Some(message));
        assert_eq!(description.error_type.as_deref(), kind);
    }
}

#[test]
fn the_type_of_an_error_is_no_box() {
    struct OnlyDisplay;
    impl fmt::Display for OnlyDisplay {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("boom")
        }
    }
    assert_eq!(describe(&BoxError::from("boom")).type_name, None);
    let shared: Arc<dyn Error + Send + Sync> = Arc::new(Layered("boom", None));
    assert_eq!(describe(&shared).type_name, None);
    assert_eq!(
        describe(&(Box::new(OnlyDisplay) as Box<dyn Display>)).type_name,
        None
    );
    let concrete = describe(&OnlyDisplay);
    assert!(
        concrete
            .type_name
            .is_some_and(|name| name.ends_with("OnlyDisplay"))
    );
    assert_eq!(
        (concrete.message.as_deref(), concrete.error_type),
        (Some("boom"), None)
    );
}
