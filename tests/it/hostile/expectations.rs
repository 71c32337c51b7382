//! Clients that want something first and then do not go on: an abandoned `Expect: 100-continue`, a tunnel
//! that nobody waits for, and one that lives on.

use axum::body::Body;
use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tower_api_span::ApiSpanLayer;

use super::{LEFT, Served, alone, serve, service, settle};
use crate::support::recorder::Recorder;

const EXPECTING: &[u8] =
    b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const CONNECT: &[u8] = b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n";
const CONNECTED: &[u8] = b"HTTP/1.1 200 OK\r\n";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Handler {
    /// Reads the request's body, and answers 400 if that fails.
    Reads,
    /// Answers without it.
    Refuses,
    /// Never answers, and keeps the body for itself.
    Hangs,
}
use Handler::{Hangs, Reads, Refuses};

fn answering(layer: &ApiSpanLayer, handler: Handler) -> Served {
    service(Some(layer), move |request: Request<Body>| async move {
        let status = match handler {
            Hangs => {
                std::future::pending::<()>().await;
                StatusCode::OK
            }
            Refuses => StatusCode::PAYLOAD_TOO_LARGE,
            Reads => match request.into_body().collect().await {
                Ok(_) => StatusCode::OK,
                Err(_) => StatusCode::BAD_REQUEST,
            },
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        response
    })
}

#[test]
fn an_abandoned_expectation_ends_as_the_handler_or_the_client_ends_it() {
    for (rule, handler, gets, sends, outcome) in [
        (
            "read, and the client has left after the 100",
            Reads,
            CONTINUE,
            &b""[..],
            "ABORTED(validation_error)",
        ),
        (
            "read, and the client has left in its body",
            Reads,
            CONTINUE,
            b"bo",
            "ABORTED(validation_error)",
        ),
        (
            "read, and all has come",
            Reads,
            CONTINUE,
            b"body",
            "DEPARTED",
        ),
        (
            "not read",
            Refuses,
            b"HTTP/1.1 413 Payload Too Large\r\n",
            b"",
            "ABORTED(validation_error)",
        ),
        ("neither read nor answered", Hangs, b"", b"", LEFT),
    ] {
        let at = Recorder::new();
        alone().block_on(async {
            let (mut client, server) = duplex(1 << 16);
            let connection = serve(Version::HTTP_11, server, answering(&at.layer(), handler));
            client.write_all(EXPECTING).await.expect("the server reads");
            let mut got = vec![0; gets.len()];
            client.read_exact(&mut got).await.expect("an answer");
            assert_eq!(got, gets, "{rule}");
            client.write_all(sends).await.expect("the server reads");
            settle().await;
            drop(client);
            settle().await;
            // How it ends is for the client to see.
            connection.abort();
            let _ = connection.await;
        });
        assert_eq!(at.only().outcome(), outcome, "{rule}");
    }
}

/// Sends back whatever comes through the tunnel, if it opens one.
fn tunnelling(layer: &ApiSpanLayer, opens: bool) -> Served {
    service(Some(layer), move |request: Request<Body>| async move {
        if !opens {
            std::future::pending::<()>().await;
        }
        let upgrade = hyper::upgrade::on(request);
        tokio::spawn(async move {
            // A client that has left never opens it.
            let Ok(upgraded) = upgrade.await else { return };
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        // A body that can't be there, and that no server polls.
        Response::new(Body::from("well"))
    })
}

#[test]
fn a_tunnel_that_its_client_does_not_wait_for_was_left() {
    let at = Recorder::new();
    alone().block_on(async {
        let (mut client, server) = duplex(1 << 16);
        serve(Version::HTTP_11, server, tunnelling(&at.layer(), false));
        client.write_all(CONNECT).await.expect("the server reads");
        settle().await;
        drop(client);
        settle().await;
    });
    assert_eq!(at.only().outcome(), LEFT);
}

#[test]
fn a_tunnel_has_departed_with_its_head_whatever_passes_through_it_and_however_it_ends() {
    for cuts in [false, true] {
        let at = Recorder::new();
        let layer = at.layer().body_sizes(true);
        alone().block_on(async {
            let (mut client, server) = duplex(1 << 16);
            serve(Version::HTTP_11, server, tunnelling(&layer, true));
            client.write_all(CONNECT).await.expect("the server reads");
            let mut head = vec![0; CONNECTED.len()];
            client.read_exact(&mut head).await.expect("a head");
            assert_eq!(head, CONNECTED);
            assert_eq!(at.ends(), 1, "with the head");
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.expect("the rest of the head"));
            }
            let mut echoed = vec![0; 10_000];
            for _ in 0..100 {
                client.write_all(&[b'x'; 10_000]).await.expect("it is open");
                client.read_exact(&mut echoed).await.expect("it is open");
            }
            if cuts {
                client.write_all(b"half of it").await.expect("it is open");
                drop(client);
            }
            settle().await;
        });
        let span = at.only();
        assert_eq!(span.outcome(), "DEPARTED");
        let size = span.attribute("http.response.body.size");
        assert_eq!(size.as_deref(), Some("0"), "what passes is no body");
    }
}
