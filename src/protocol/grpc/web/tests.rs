//! Tests of reading gRPC-Web bodies: whole, cut anywhere, and of any bytes.

use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::FileFailurePersistence;

use super::*;
use crate::protocol::grpc::GrpcCode;

/// Reads a body in pieces. Returns the status, and after how many bytes it was found.
fn read(is_text: bool, pieces: &[&[u8]]) -> Option<(GrpcStatus, usize)> {
    let mut trailers = TrailersReader::new(is_text);
    let (mut found, mut bytes) = (None, 0);
    for piece in pieces {
        bytes += piece.len();
        let status = trailers.read(piece);
        if let Frames::Trailers { block, .. } = &trailers.frames {
            assert!(block.capacity() <= MAX_TRAILERS);
        }
        assert!(status.is_none() || found.is_none(), "a second status");
        found = found.or(status.map(|status| (status, bytes)));
    }
    found
}

fn frame(flags: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a length");
    [&[flags][..], &length.to_be_bytes(), content].concat()
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| -> [u8; 4] {
        std::array::from_fn(|at| {
            let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            let digit = (bits >> (18 - 6 * at)) & 63;
            if at <= bytes.len() {
                DIGITS[digit as usize]
            } else {
                b'='
            }
        })
    };
    bytes.chunks(3).flat_map(group).collect()
}

const OK: &[u8] = b"grpc-status: 0\r\n";

/// The name, the parts of the body, which text may encode one by one, and its code and message.
type Case = (
    &'static str,
    Vec<Vec<u8>>,
    Option<(GrpcCode, Option<&'static str>)>,
);

#[expect(clippy::too_many_lines, reason = "a table")]
fn bodies() -> Vec<Case> {
    let ok = || Some((GrpcCode::OK, None));
    vec![
        (
            "a message and its trailers",
            vec![frame(0, b"message"), frame(0x80, OK)],
            ok(),
        ),
        ("no message", vec![frame(0x80, OK)], ok()),
        (
            "an empty message",
            vec![frame(0, b""), frame(0x80, OK)],
            ok(),
        ),
        (
            "a message with the last digits of base64",
            vec![frame(0, b"m\xfb\xef\xbe\xff\xff\xff"), frame(0x80, OK)],
            ok(),
        ),
        (
            "a compressed message",
            vec![frame(1, b"\x80\0\0\0\x10"), frame(0x80, OK)],
            ok(),
        ),
        (
            "a message that looks like trailers",
            vec![
                frame(0, &frame(0x80, b"grpc-status: 5\r\n")),
                frame(0x80, OK),
            ],
            ok(),
        ),
        (
            "an error and its message, percent-encoded",
            vec![frame(
                0x80,
                b"grpc-message:100%25 gone\r\ngrpc-status:13\r\n",
            )],
            Some((GrpcCode::INTERNAL, Some("100% gone"))),
        ),
        (
            "any case, any white space, any end of a line",
            vec![frame(0x80, b"Grpc-Status:\t 5 \nGRPC-MESSAGE:  a: b")],
            Some((GrpcCode::NOT_FOUND, Some("a: b"))),
        ),
        (
            "other names with the same beginning or end",
            vec![frame(
                0x80,
                b"grpc-status-details-bin: 1\r\nx-grpc-status: 2\r\ngrpc-status\r\ngrpc-status: 3\r\n",
            )],
            Some((GrpcCode::INVALID_ARGUMENT, None)),
        ),
        (
            "a status that is not a number",
            vec![frame(0x80, b"grpc-status: \xff\r\ngrpc-message: \r\n")],
            Some((GrpcCode::UNKNOWN, None)),
        ),
        (
            "the first status counts",
            vec![frame(0x80, b"grpc-status: 7\r\ngrpc-status: 0\r\n")],
            Some((GrpcCode::PERMISSION_DENIED, None)),
        ),
        (
            "bytes after the trailers are ignored",
            vec![frame(0x80, OK), frame(0x80, b"grpc-status: 2"), vec![255]],
            ok(),
        ),
        ("an empty body", vec![], None),
        ("no trailers", vec![frame(0, b"message")], None),
        (
            "trailers that break off",
            vec![frame(0, b"m"), frame(0x80, OK)[..20].to_vec()],
            None,
        ),
        (
            "trailers without a status are the last",
            vec![frame(0x80, b"server-timing: x\r\n"), frame(0x80, OK)],
            None,
        ),
        (
            "empty trailers are the last",
            vec![frame(0x80, b""), frame(0x80, OK)],
            None,
        ),
        ("compressed trailers", vec![frame(0x81, OK)], None),
        (
            "unknown flags",
            vec![frame(2, b"message"), frame(0x80, OK)],
            None,
        ),
        (
            "bytes that are not frames",
            vec![b"<html>".to_vec(), frame(0x80, OK)],
            None,
        ),
        (
            "a length beyond the body",
            vec![b"\0\xff\xff\xff\xff".to_vec(), frame(0x80, OK)],
            None,
        ),
    ]
}

#[test]
fn findings_are_the_same_wherever_the_body_is_cut() {
    for (name, parts, expected) in bodies() {
        let one_by_one: Vec<u8> = parts.iter().flat_map(|part| base64(part)).collect();
        let all = parts.concat();
        for (is_text, body) in [
            (false, all.clone()),
            (true, base64(&all)),
            (true, one_by_one),
        ] {
            let expected =
                expected.map(|(code, message)| GrpcStatus::new(code, message.map(str::to_owned)));
            let found = |pieces: &[&[u8]]| read(is_text, pieces).map(|(status, _)| status);
            let shown = String::from_utf8_lossy(&body);
            assert_eq!(found(&[&body]), expected, "{name}, {shown:?}");
            for first in 0..=body.len() {
                for second in first..=body.len() {
                    let pieces = [&body[..first], &body[first..second], &body[second..]];
                    assert_eq!(
                        found(&pieces),
                        expected,
                        "{name}, {shown:?}, cut at {first}, {second}"
                    );
                }
            }
            let single: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(found(&single), expected, "{name}, {shown:?}, byte by byte");
        }
    }
}

#[test]
fn status_is_found_with_the_last_byte_of_the_trailers() {
    let binary = [frame(0, b"message"), frame(0x80, OK)].concat();
    let padded = [base64(&frame(0, b"message")), base64(&frame(0x80, OK))].concat();
    for (is_text, body) in [
        (false, binary.clone()),
        (true, base64(&binary)),
        (true, padded),
    ] {
        let more = [&body[..], b"\0\0\0\0\0AAAA"].concat();
        let pieces: Vec<&[u8]> = more.chunks(1).collect();
        let (_, bytes) = read(is_text, &pieces).expect("a status");
        assert_eq!(bytes, body.len());
    }
}

#[test]
fn malformed_base64_ends_the_search_for_good() {
    let text = base64(&frame(0x80, OK));
    for (why, before) in [
        ("white space", "\n"),
        ("another alphabet", "AAA-"),
        ("a control character", "\u{0}"),
        ("too much padding", "A==="),
        ("padding first", "===="),
        ("padding within a group", "AA=A"),
        ("padding within a group, of a whole message", "AAAAAA=A"),
        ("no padding", "AA"),
    ] {
        let body = [before.as_bytes(), &text].concat();
        assert_eq!(read(true, &[&body]), None, "{why}");
    }
    assert_eq!(
        read(true, &[b"AAAAAAA=", &text]).map(|found| found.0.code),
        Some(GrpcCode::OK)
    );
    assert_eq!(read(false, &[&text]), None, "text read as binary");
    assert_eq!(read(true, &[&frame(0x80, OK)]), None, "binary read as text");
}

#[test]
fn trailers_are_read_up_to_the_limit() {
    for (length, expected) in [(MAX_TRAILERS, true), (MAX_TRAILERS + 1, false)] {
        let mut block = OK.to_vec();
        block.resize(length, b'x');
        let body = frame(0x80, &block);
        for size in [1, 1_000, body.len()] {
            let pieces: Vec<&[u8]> = body.chunks(size).collect();
            assert_eq!(read(false, &pieces).is_some(), expected, "{length} {size}");
        }
    }
}

#[test]
fn message_of_4_gib_is_skipped() {
    // 4 GiB less one byte, in pieces of 1 MiB. This test is slow if the bytes are read one by one.
    let mut trailers = TrailersReader::new(false);
    assert_eq!(trailers.read(b"\0\xff\xff\xff\xff"), None);
    let piece = vec![0x80; 1 << 20];
    for _ in 0..(1 << 12) - 1 {
        assert_eq!(trailers.read(&piece), None);
    }
    let last = [&piece[1..], &frame(0x80, OK)].concat();
    assert!(trailers.read(&last).is_some());
}

#[test]
fn content_type_and_encoding_decide_what_is_read() {
    for (content_type, encoding, expected) in [
        (Some("application/grpc-web"), None, Some(false)),
        (Some("application/grpc-web+proto"), None, Some(false)),
        (
            Some("Application/gRPC-Web;charset=utf-8"),
            None,
            Some(false),
        ),
        (Some("application/grpc-web"), Some("identity"), Some(false)),
        (Some("application/grpc-web"), Some("gzip"), None),
        (Some("application/grpc-web-text"), None, Some(true)),
        (Some("application/grpc-web-Text+proto"), None, Some(true)),
        (Some("application/grpc-web-texts"), None, None),
        (Some("application/grpc-web-socket"), None, None),
        (Some("application/grpc-webs"), None, None),
        (Some("application/grpc"), None, None),
        (Some("application/grpc+proto"), None, None),
        (Some("text/event-stream"), None, None),
        (None, None, None),
    ] {
        let mut headers = HeaderMap::new();
        for (name, value) in [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, encoding)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        let is_text = reader_for(&headers).map(|trailers| trailers.group.is_some());
        assert_eq!(is_text, expected, "{content_type:?} {encoding:?}");
    }
}

/// Bytes that are mostly frames.
fn parts() -> impl Strategy<Value = Vec<u8>> {
    let content = prop_oneof![
        vec(any::<u8>(), 0..12),
        select(vec![OK, b"grpc-status:13\r\ngrpc-message:%", b"\n:\n"]).prop_map(<[u8]>::to_vec),
    ];
    let flags = prop_oneof![select(vec![0, 0, 1, 0x80, 0x81]), any::<u8>()];
    prop_oneof![
        6 => (flags, content).prop_map(|(flags, content)| frame(flags, &content)),
        1 => vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_cut_anywhere_give_the_same_status_as_uncut(
        parts in vec(parts(), 0..6),
        is_text in any::<bool>(),
        is_encoded in proptest::bool::weighted(0.8),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let encode = |part: &Vec<u8>| if is_text && is_encoded { base64(part) } else { part.clone() };
        let body: Vec<u8> = parts.iter().flat_map(encode).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
        let status = |pieces: &[&[u8]]| read(is_text, pieces).map(|(status, _)| status);
        prop_assert_eq!(status(&pieces), status(&[&body]));
    }
}
