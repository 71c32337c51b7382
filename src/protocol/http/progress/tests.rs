//! Tests of message lengths and the progress of a body.

use http::HeaderValue;

use super::*;

#[test]
fn method_and_status_decide_whether_a_body_can_follow() {
    for (method, status, expected) in [
        (Method::HEAD, 200, true),
        (Method::HEAD, 404, true),
        (Method::GET, 204, true),
        (Method::GET, 304, true),
        (Method::GET, 100, true),
        (Method::GET, 101, true),
        (Method::GET, 199, true),
        (Method::CONNECT, 200, true),
        (Method::CONNECT, 299, true),
        (Method::CONNECT, 407, false),
        (Method::GET, 200, false),
        (Method::GET, 205, false),
        (Method::GET, 302, false),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(has_no_body(&method, status), expected, "{method} {status}");
    }
}

#[test]
fn transfer_encoding_overrides_lengths_in_http_1_1_alone() {
    let declared = |version, length: Option<&'static str>, hint| {
        let mut headers = HeaderMap::new();
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.extend(length.map(|length| (CONTENT_LENGTH, HeaderValue::from_static(length))));
        declared_length(&headers, version, hint)
    };
    for version in [Version::HTTP_10, Version::HTTP_2, Version::HTTP_3] {
        assert_eq!(declared(version, Some("15"), None), Some(15), "{version:?}");
        assert_eq!(declared(version, None, Some(15)), Some(15), "{version:?}");
    }
    assert_eq!(declared(Version::HTTP_11, None, Some(15)), None);
}

#[test]
fn declared_length_is_the_content_length_or_the_exact_size_hint() {
    for (rule, lines, hint, expected) in [
        (
            "Content-Length",
            &[("content-length", "15")][..],
            None,
            Some(15),
        ),
        (
            "Content-Length and another size hint",
            &[("content-length", "15")],
            Some(20),
            Some(15),
        ),
        (
            "the size hint without Content-Length",
            &[],
            Some(20),
            Some(20),
        ),
        ("neither Content-Length nor size hint", &[], None, None),
        (
            "the same value twice",
            &[("content-length", "15"), ("content-length", "15")],
            None,
            Some(15),
        ),
        (
            "two different values",
            &[("content-length", "15"), ("content-length", "16")],
            None,
            None,
        ),
        ("letters", &[("content-length", "fifteen")], Some(15), None),
        ("a sign", &[("content-length", "+15")], None, None),
        ("an empty value", &[("content-length", "")], None, None),
        (
            "a number too large",
            &[("content-length", "99999999999999999999")],
            None,
            None,
        ),
        (
            "Transfer-Encoding beside Content-Length",
            &[("content-length", "15"), ("transfer-encoding", "chunked")],
            Some(15),
            None,
        ),
    ] {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let length = declared_length(&headers, Version::HTTP_11, hint);
        assert_eq!(length, expected, "{rule}");
    }
}

#[test]
fn body_owes_bytes_until_all_declared_ones_are_delivered() {
    let mut progress = Progress::new(Some(4));
    assert!(!progress.has_delivered_all());
    assert!(
        !progress.record_data(0),
        "an empty frame is not the first byte"
    );
    assert!(progress.record_data(3));
    assert_eq!(progress.mismatch(), Some((4, 3)));
    assert!(!progress.record_data(1));
    assert!(progress.has_delivered_all());
    assert_eq!(progress.mismatch(), None);
    progress.record_data(1);
    assert!(progress.has_delivered_all());
    assert_eq!(progress.mismatch(), Some((4, 5)));
}

#[test]
fn body_of_unknown_length_never_delivers_all_and_never_mismatches() {
    let mut progress = Progress::new(None);
    progress.record_data(u64::MAX);
    progress.record_data(1);
    assert!(!progress.has_delivered_all());
    assert_eq!(progress.mismatch(), None);
}
