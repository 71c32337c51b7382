//! HTTP/1.1 requests and HTTP/2 frames as bytes, for what no client library sends.

use http::Version;

/// A minimal request.
pub(super) const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
/// A minimal request with `Connection: close`.
pub(super) const LAST_GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// Returns the client connection preface, with a small window for streams and a large one for the connection.
pub(super) fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let stream_window = [0, 4, 0, 0, 8, 0];
    bytes.extend(frame(0x4, 0, 0, &stream_window));
    bytes.extend(window(0, 0x7fff_ffff - 0xffff));
    bytes
}

/// Returns a `WINDOW_UPDATE` frame. Stream 0 is the connection.
pub(super) fn window(stream: u32, bytes: u32) -> Vec<u8> {
    frame(0x8, 0, stream, &bytes.to_be_bytes())
}

/// Returns a `HEADERS` frame with `END_HEADERS` and `END_STREAM`: a request without a body.
pub(super) fn headers(stream: u32) -> Vec<u8> {
    // Indexed HPACK fields: GET, http, /. The authority has an indexed name and the value "a".
    let fields = [0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
    frame(0x1, 0x5, stream, &fields)
}

/// Returns a `RST_STREAM` frame.
pub(super) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(0x3, 0, stream, &code.to_be_bytes())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Returns the bytes of the first request on a connection.
pub(super) fn request(version: Version) -> Vec<u8> {
    if version == Version::HTTP_2 {
        [preface(), headers(1)].concat()
    } else {
        GET.to_vec()
    }
}
