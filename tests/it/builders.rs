//! The values that the tests of an application make: completions, ends, verdicts and outcomes. And the wrapped service.

use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use opentelemetry::{KeyValue, Value};
use tower_api_span::{
    Aborted, ApiSpan, Completion, End, GrpcCode, GrpcStatus, Outcome, Protocol, Stage, Verdict,
    classify,
};

#[test]
fn a_completion_has_what_was_set() {
    let status = GrpcStatus::new(GrpcCode::OK, None);
    let end = End::complete().with_grpc_status(status.clone());
    let completion = Completion::new(Method::POST, end.clone())
        .with_status(StatusCode::ACCEPTED)
        .with_protocol(Protocol::GrpcWeb)
        .with_verdict(Verdict::new("quota", None).with_code("used_up"))
        .with_route("/users/{id}")
        .with_path(PathAndQuery::from_static("/users/7?all"))
        .with_attribute(KeyValue::new("test.tenant", "acme"))
        .with_attribute(KeyValue::new("", "no key"))
        .with_outcome(Outcome::Departed);
    assert_eq!(completion.method(), Method::POST);
    assert_eq!(completion.end(), &end);
    assert_eq!(completion.grpc_status(), Some(&status));
    assert_eq!(completion.status(), Some(StatusCode::ACCEPTED));
    assert_eq!(completion.protocol(), Protocol::GrpcWeb);
    let verdict = completion.verdict().expect("a verdict");
    assert_eq!(verdict.reason, "quota");
    assert_eq!(verdict.code.as_deref(), Some("used_up"));
    assert_eq!(completion.route(), Some("/users/{id}"));
    assert_eq!(completion.path(), Some("/users/7"));
    let tenant = completion.attribute("test.tenant");
    assert_eq!(tenant, Some(&Value::from("acme")));
    assert_eq!(completion.attribute(""), None);
    assert_eq!(completion.outcome(), Some(&Outcome::Departed));
}

#[test]
fn each_end_is_classified() {
    let no = || Some("no".to_owned());
    for (end, expected) in [
        (End::complete(), "DEPARTED"),
        (
            End::length_mismatch(5, 3),
            "ABORTED(length_mismatch): 3 of 5 declared bytes",
        ),
        (End::truncated(), "ABORTED(truncated_stream)"),
        (End::service_error(no()), "ABORTED(exception): no"),
        (End::body_error(no()), "ABORTED(exception): no"),
        (End::dropped(Stage::Midway), "ABORTED(client_disconnect)"),
        (End::dropped(Stage::Unread), "ABORTED(generator_exit)"),
        (
            End::dropped_past_deadline(Stage::Midway),
            "ABORTED(deadline_exceeded)",
        ),
        (End::panicked(), "ABORTED(panic)"),
    ] {
        let outcome = classify(&Completion::new(Method::GET, end.clone()));
        assert_eq!(outcome.to_string(), expected, "{end:?}");
    }
}

#[test]
fn an_outcome_shows_its_reason_and_its_message() {
    let aborted = Aborted::new("quota").with_message("used up").with_code("c");
    assert_eq!(aborted.code.as_deref(), Some("c"));
    let outcome = Outcome::Aborted(aborted);
    assert_eq!(outcome.to_string(), "ABORTED(quota): used up");
}

#[test]
fn an_end_has_the_status_and_the_kind_of_error_that_were_set() {
    let status = GrpcStatus::new(GrpcCode::OK, None);
    let end = End::complete().with_grpc_status(status.clone());
    assert_eq!(end.grpc_status(), Some(&status));
    let end = End::panicked().with_grpc_status(status);
    assert_eq!(end.grpc_status(), None);
    for end in [End::service_error(None), End::body_error(None)] {
        assert_eq!(end.error_type(), None);
        let end = end.with_error_type("timeout");
        assert_eq!(end.error_type(), Some("timeout"));
    }
    let end = End::panicked().with_error_type("timeout");
    assert_eq!(end.error_type(), None);
}

#[test]
fn the_wrapped_service_can_be_reached() {
    let mut service = ApiSpan::new(7);
    *service.get_mut() += 1;
    assert_eq!(*service.get_ref(), 8);
    assert_eq!(service.into_inner(), 8);
}
