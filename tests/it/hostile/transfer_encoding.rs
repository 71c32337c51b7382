//! Responses with `Transfer-Encoding` over HTTP/2 and HTTP/1.0, which do not have it. The server drops the
//! header and sends the number of bytes in `Content-Length`. The response is then complete.

use axum::body::Body;
use http::{HeaderValue, Response, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::{CLIENT_DISCONNECT, current_thread_runtime, raw, serve, service, wait_until};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent};
use crate::support::recorder::Recorder;

const HTTP_10_GET: &[u8] = b"GET / HTTP/1.0\r\nhost: a\r\n\r\n";

#[test]
fn a_response_is_complete_at_its_length_where_transfer_encoding_does_not_apply() {
    for (rule, version, request, outcome) in [
        (
            "HTTP/2",
            Version::HTTP_2,
            raw::request(Version::HTTP_2),
            "DEPARTED",
        ),
        (
            "HTTP/1.0",
            Version::HTTP_11,
            HTTP_10_GET.to_vec(),
            "DEPARTED",
        ),
        (
            "HTTP/1.1",
            Version::HTTP_11,
            raw::GET.to_vec(),
            CLIENT_DISCONNECT,
        ),
    ] {
        for has_length_header in [true, false] {
            // hyper rejects a response with both headers over HTTP/1.1.
            if has_length_header && outcome == CLIENT_DISCONNECT {
                continue;
            }
            let recorder = Recorder::new();
            let service = service(Some(&recorder.layer()), move |_| {
                let body = ScriptedBody::new([Data(5), Silent]);
                let body = if has_length_header {
                    body
                } else {
                    body.sized(5)
                };
                let mut response = Response::new(Body::new(body));
                let headers = response.headers_mut();
                let chunked = HeaderValue::from_static("chunked");
                headers.insert("transfer-encoding", chunked);
                if has_length_header {
                    headers.insert("content-length", HeaderValue::from_static("5"));
                }
                std::future::ready(response)
            });
            current_thread_runtime().block_on(async {
                let (mut client, server) = duplex(1 << 16);
                serve(version, server, service);
                client.write_all(&request).await.expect("the server reads");
                // Reads until the body has arrived.
                let mut received = Vec::new();
                while !received.windows(5).any(|five| five == [b'x'; 5]) {
                    let read = client.read_buf(&mut received).await;
                    assert_ne!(read.expect("a pipe"), 0, "{rule}");
                }
                drop(client);
                wait_until("the span has ended", || recorder.ends() == 1).await;
            });
            assert_eq!(
                recorder.only().outcome(),
                outcome,
                "{rule}, {has_length_header}"
            );
        }
    }
}
