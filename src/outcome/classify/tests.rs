//! Tests of the default classification and of bounding a replacement's strings.

use http::Method;

use super::*;
use crate::text::MAX_BYTES;

const DROPPED_MIDWAY: End = End::Dropped {
    stage: Stage::Midway,
    past_deadline: false,
};

fn with_status(method: Method, status: Option<StatusCode>) -> Completion {
    let mut completion = Completion::new(method, End::complete());
    completion.status = status;
    completion
}

fn decide(head: &Completion, end: &End, verdict: Option<&Verdict>) -> Outcome {
    let mut completion = head.clone();
    completion.end = end.clone();
    completion.verdict = verdict.cloned();
    classify(&completion)
}

fn complete(code: Option<u8>) -> End {
    End::Complete {
        grpc_status: code
            .map(|code| GrpcStatus::new(GrpcCode::from_u8(code).expect("a code"), None)),
    }
}

/// Formats an outcome as `DEPARTED`, `reason` or `reason/error.type`.
fn written(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Departed => "DEPARTED".to_owned(),
        Outcome::Aborted(Aborted {
            reason, error_type, ..
        }) => match error_type {
            Some(error_type) => format!("{reason}/{error_type}"),
            None => (*reason).to_owned(),
        },
    }
}

#[test]
fn an_http_status_decides_a_complete_response() {
    for (status, expected) in [
        (100, "exception/100"),
        (101, "DEPARTED"),
        (103, "exception/103"),
        (200, "DEPARTED"),
        (204, "DEPARTED"),
        (302, "DEPARTED"),
        (304, "DEPARTED"),
        (400, "validation_error"),
        (401, "client_error"),
        (404, "client_error"),
        (412, "client_error"),
        (413, "validation_error"),
        (414, "validation_error"),
        (415, "validation_error"),
        (416, "client_error"),
        (422, "validation_error"),
        (429, "client_error"),
        (431, "validation_error"),
        (499, "client_error"),
        (500, "exception/500"),
        (503, "exception/503"),
        (599, "exception/599"),
        (999, "exception/999"),
    ] {
        let head = with_status(
            Method::GET,
            Some(StatusCode::from_u16(status).expect("a status")),
        );
        assert_eq!(
            written(&decide(&head, &complete(None), None)),
            expected,
            "{status}"
        );
    }
}

#[test]
fn switching_protocols_is_a_response_of_http_1_1_alone() {
    for (version, expected) in [
        (Version::HTTP_10, "exception/101"),
        (Version::HTTP_11, "DEPARTED"),
        (Version::HTTP_2, "exception/101"),
        (Version::HTTP_3, "exception/101"),
    ] {
        let mut head = with_status(Method::GET, Some(StatusCode::SWITCHING_PROTOCOLS));
        head.version = version;
        let outcome = decide(&head, &complete(None), None);
        assert_eq!(written(&outcome), expected, "{version:?}");
    }
}

#[test]
fn a_grpc_code_decides_a_complete_call() {
    let head = with_status(Method::POST, Some(StatusCode::OK)).with_protocol(Protocol::Grpc);
    for (code, expected) in [
        (0, "DEPARTED"),
        (1, "client_disconnect"),
        (2, "exception/UNKNOWN"),
        (3, "validation_error"),
        (4, "exception/DEADLINE_EXCEEDED"),
        (5, "client_error"),
        (6, "client_error"),
        (7, "client_error"),
        (8, "client_error"),
        (9, "validation_error"),
        (10, "client_error"),
        (11, "validation_error"),
        (12, "exception/UNIMPLEMENTED"),
        (13, "exception/INTERNAL"),
        (14, "exception/UNAVAILABLE"),
        (15, "exception/DATA_LOSS"),
        (16, "client_error"),
    ] {
        assert_eq!(
            written(&decide(&head, &complete(Some(code)), None)),
            expected,
            "{code}"
        );
    }
}

#[test]
fn grpc_response_without_grpc_status_is_an_exception_or_its_http_status() {
    for (protocol, status, expected) in [
        (Protocol::Grpc, 200, "exception/missing_grpc_status"),
        (Protocol::Grpc, 404, "client_error"),
        (Protocol::Grpc, 415, "validation_error"),
        (Protocol::Grpc, 503, "exception/503"),
        (Protocol::GrpcWeb, 200, "DEPARTED"),
        (Protocol::GrpcWeb, 500, "exception/500"),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        let head = with_status(Method::POST, Some(status)).with_protocol(protocol);
        assert_eq!(
            written(&decide(&head, &complete(None), None)),
            expected,
            "{protocol:?} {status}"
        );
    }
}

#[test]
fn an_incomplete_end_decides_before_the_status() {
    let fails = Some("boom".to_owned());
    let drop = |stage, past_deadline| End::Dropped {
        stage,
        past_deadline,
    };
    let (http, grpc) = (Protocol::Http, Protocol::Grpc);
    for (protocol, end, expected) in [
        (
            http,
            End::ServiceError {
                message: fails.clone(),
                error_type: None,
            },
            "exception/exception",
        ),
        (
            http,
            End::ServiceError {
                message: fails.clone(),
                error_type: Some("timeout".into()),
            },
            "exception/timeout",
        ),
        (
            http,
            End::BodyError {
                message: fails.clone(),
                error_type: None,
            },
            "exception/exception",
        ),
        (
            grpc,
            End::BodyError {
                message: fails,
                error_type: Some("quota".to_owned().into()),
            },
            "exception/quota",
        ),
        (
            http,
            End::LengthMismatch {
                declared: 2,
                delivered: 1,
            },
            "length_mismatch/length_mismatch",
        ),
        (
            http,
            drop(Stage::BeforeHead, false),
            "client_disconnect/client_disconnect",
        ),
        (
            http,
            drop(Stage::Unread, false),
            "generator_exit/generator_exit",
        ),
        (
            http,
            drop(Stage::Midway, false),
            "client_disconnect/client_disconnect",
        ),
        (
            http,
            drop(Stage::ReadingRequest, false),
            "client_disconnect/client_disconnect",
        ),
        (
            grpc,
            drop(Stage::ReadingRequest, false),
            "client_disconnect",
        ),
        (
            grpc,
            drop(Stage::ReadingRequest, true),
            "deadline_exceeded/DEADLINE_EXCEEDED",
        ),
        (grpc, drop(Stage::BeforeHead, false), "client_disconnect"),
        (grpc, drop(Stage::Unread, false), "client_disconnect"),
        (grpc, drop(Stage::Midway, false), "client_disconnect"),
        (
            grpc,
            drop(Stage::BeforeHead, true),
            "deadline_exceeded/DEADLINE_EXCEEDED",
        ),
        (
            grpc,
            drop(Stage::Midway, true),
            "deadline_exceeded/DEADLINE_EXCEEDED",
        ),
        (http, End::Panicked, "panic/panic"),
    ] {
        let head = with_status(Method::GET, Some(StatusCode::NOT_FOUND)).with_protocol(protocol);
        assert_eq!(
            written(&decide(&head, &end, None)),
            expected,
            "{protocol:?} {end:?}"
        );
    }
}

#[test]
fn a_verdict_decides_before_all_but_a_panic() {
    let head = with_status(Method::GET, Some(StatusCode::INTERNAL_SERVER_ERROR));
    let failed = End::body_error(None).with_error_type("timeout");
    for (end, reason, expected) in [
        (
            complete(None),
            "generation_error",
            "generation_error/generation_error",
        ),
        (failed, "quota", "quota/quota"),
        (DROPPED_MIDWAY, "quota", "quota/quota"),
        (complete(None), "validation_error", "validation_error"),
        (complete(None), "client_error", "client_error"),
        (complete(None), "", "exception/exception"),
        (End::Panicked, "quota", "panic/panic"),
    ] {
        let verdict = Verdict::new(reason, None);
        assert_eq!(
            written(&decide(&head, &end, Some(&verdict))),
            expected,
            "{end:?} {reason}"
        );
    }
}

#[test]
fn the_message_is_that_of_the_verdict_the_error_or_the_grpc_status() {
    let head = with_status(Method::POST, Some(StatusCode::OK)).with_protocol(Protocol::Grpc);
    let message = |text: &str| Some(text.to_owned());
    let failed = End::BodyError {
        message: message("of the error"),
        error_type: None,
    };
    let refused = End::Complete {
        grpc_status: Some(GrpcStatus::new(
            GrpcCode::NOT_FOUND,
            message("of the status"),
        )),
    };
    let verdict = Verdict::new("quota", message("of the verdict"));
    for (end, verdict, expected) in [
        (&failed, None, message("of the error")),
        (&refused, None, message("of the status")),
        (&refused, Some(&verdict), message("of the verdict")),
        (&DROPPED_MIDWAY, None, None),
    ] {
        let Outcome::Aborted(aborted) = decide(&head, end, verdict) else {
            panic!("{end:?} is aborted");
        };
        assert_eq!(aborted.message, expected, "{end:?}");
    }
}

#[test]
fn operators_classification_is_truncated_and_never_empty() {
    struct TestCase {
        rule: &'static str,
        given: Aborted,
        reason: &'static str,
        error_type: Option<String>,
        message: Option<String>,
    }
    let long = "é".repeat(MAX_BYTES);
    let cut = "é".repeat(MAX_BYTES / 2);
    for case in [
        TestCase {
            rule: "short strings are unchanged",
            given: Aborted::new("quota").with_error_type("Q").with_message("m"),
            reason: "quota",
            error_type: Some("Q".to_owned()),
            message: Some("m".to_owned()),
        },
        TestCase {
            rule: "an empty reason or type gets its default, an empty message is removed",
            given: Aborted::new("").with_error_type("").with_message(""),
            reason: "exception",
            error_type: Some("_OTHER".to_owned()),
            message: None,
        },
        TestCase {
            rule: "a type and a message are cut between characters",
            given: Aborted::new("quota")
                .with_error_type(long.clone())
                .with_message(long),
            reason: "quota",
            error_type: Some(cut.clone()),
            message: Some(cut),
        },
    ] {
        let Outcome::Aborted(bounded) = Outcome::Aborted(case.given).bounded() else {
            panic!("{}: it stays aborted", case.rule);
        };
        assert_eq!(bounded.reason, case.reason, "{}", case.rule);
        assert_eq!(
            bounded.error_type.as_deref(),
            case.error_type.as_deref(),
            "{}",
            case.rule
        );
        assert_eq!(bounded.message, case.message, "{}", case.rule);
    }
    assert_eq!(Outcome::Departed.bounded(), Outcome::Departed);
}

#[test]
fn the_guide_lists_every_grpc_code() {
    let guide = include_str!("../../../docs/guide/grpc.md");
    let mut head = Completion::new(Method::POST, End::complete());
    head.protocol = Protocol::Grpc;
    for number in 0..=16 {
        let code = GrpcCode::from_u8(number).expect("a code");
        let (reason, error_type) = match decide(&head, &complete(Some(number)), None) {
            Outcome::Departed => (None, None),
            Outcome::Aborted(aborted) => (Some(aborted.reason.to_owned()), aborted.error_type),
        };
        let cell = |text: Option<&str>| text.map_or("–".to_owned(), |text| format!("`{text}`"));
        let row = format!(
            "| `{code}` | {number} | {} | {} |",
            cell(reason.as_deref()),
            cell(error_type.as_deref())
        );
        assert!(guide.contains(&row), "not in the guide: {row}");
    }
}

#[test]
fn the_guide_lists_every_reason() {
    let guide = include_str!("../../../docs/guide/endings.md");
    let reasons = include_str!("../reason.rs").split(": &str = \"").skip(1);
    let reasons: Vec<_> = reasons.filter_map(|text| text.split('"').next()).collect();
    assert!(reasons.len() >= 10, "{reasons:?}");
    for reason in reasons {
        assert!(
            guide.contains(&format!("| `ABORTED({reason})` |")),
            "{reason}"
        );
    }
    assert!(guide.contains(&format!("| `{MISSING_GRPC_STATUS}` |")));
}
