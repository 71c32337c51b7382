//! Requests as bytes, and HTTP/2's frames: no client library sends what these tests do.

use http::Version;

/// The smallest request there is.
pub(super) const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
/// The same, after whose answer the server closes the connection.
pub(super) const LAST_GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// What a client begins with. On a stream it allows little to be sent, on all together much.
pub(super) fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let window_of_a_stream = [0, 4, 0, 0, 8, 0];
    bytes.extend(frame(0x4, 0, 0, &window_of_a_stream));
    bytes.extend(window(0, 0x7fff_ffff - 0xffff));
    bytes
}

/// `WINDOW_UPDATE`: so many bytes more may be sent, on a stream or, as stream 0, on all together.
pub(super) fn window(stream: u32, bytes: u32) -> Vec<u8> {
    frame(0x8, 0, stream, &bytes.to_be_bytes())
}

/// A request without a body: the head and the end of the stream.
pub(super) fn headers(stream: u32) -> Vec<u8> {
    // GET, http, /, and the authority, all by their numbers in HPACK's table but "a".
    let fields = [0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
    frame(0x1, 0x5, stream, &fields)
}

/// `RST_STREAM`.
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

/// The first request on a connection.
pub(super) fn request(version: Version) -> Vec<u8> {
    if version == Version::HTTP_2 {
        [preface(), headers(1)].concat()
    } else {
        GET.to_vec()
    }
}
