//! An answer that says Transfer-Encoding where HTTP has none: over HTTP/2, and to a client of HTTP/1.0. The server
//! leaves it out and sends as many bytes as the length says; with those the answer is whole.

use axum::body::Body;
use http::{HeaderValue, Response, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::{LEFT, alone, raw, serve, service, until};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent};
use crate::support::recorder::Recorder;

const OLD_GET: &[u8] = b"GET / HTTP/1.0\r\nhost: a\r\n\r\n";

#[test]
fn a_length_counts_where_there_is_no_transfer_encoding() {
    for (rule, version, request, outcome) in [
        (
            "HTTP/2",
            Version::HTTP_2,
            raw::request(Version::HTTP_2),
            "DEPARTED",
        ),
        ("HTTP/1.0", Version::HTTP_11, OLD_GET.to_vec(), "DEPARTED"),
        ("HTTP/1.1", Version::HTTP_11, raw::GET.to_vec(), LEFT),
    ] {
        for is_in_head in [true, false] {
            // Two lengths, hyper calls a mistake of the service's.
            if is_in_head && outcome == LEFT {
                continue;
            }
            let at = Recorder::new();
            let service = service(Some(&at.layer()), move |_| {
                let body = ScriptedBody::new([Data(5), Silent]);
                let body = if is_in_head { body } else { body.sized(5) };
                let mut answer = Response::new(Body::new(body));
                let headers = answer.headers_mut();
                let chunked = HeaderValue::from_static("chunked");
                headers.insert("transfer-encoding", chunked);
                if is_in_head {
                    headers.insert("content-length", HeaderValue::from_static("5"));
                }
                std::future::ready(answer)
            });
            alone().block_on(async {
                let (mut client, server) = duplex(1 << 16);
                serve(version, server, service);
                client.write_all(&request).await.expect("the server reads");
                // The bytes of the body, wherever they stand.
                let mut answer = Vec::new();
                while !answer.windows(5).any(|five| five == [b'x'; 5]) {
                    let read = client.read_buf(&mut answer).await;
                    assert_ne!(read.expect("a pipe"), 0, "{rule}");
                }
                drop(client);
                until("the span has ended", || at.ends() == 1).await;
            });
            assert_eq!(at.only().outcome(), outcome, "{rule}, {is_in_head}");
        }
    }
}
