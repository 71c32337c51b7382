//! `Expect: 100-continue` requests and CONNECT tunnels: the client abandons them or goes on.

use axum::body::Body;
use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tower_api_span::ApiSpanLayer;

use super::{
    BoxedService, CLIENT_DISCONNECT, current_thread_runtime, run_until_idle, serve, service,
};
use crate::support::recorder::Recorder;

const EXPECTING: &[u8] =
    b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const CONNECT: &[u8] = b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n";
const CONNECTED: &[u8] = b"HTTP/1.1 200 OK\r\n";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Handler {
    /// Reads the request body. Responds with 400 if that fails.
    Reads,
    /// Responds with 413 without reading the body.
    Refuses,
    /// Never responds, and holds the body.
    Hangs,
}
use Handler::{Hangs, Reads, Refuses};

fn handling(layer: &ApiSpanLayer, handler: Handler) -> BoxedService {
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
fn an_expect_continue_request_has_the_outcome_of_its_response_or_client_disconnect() {
    for (rule, handler, received, sent, outcome) in [
        (
            "the handler reads, and the client leaves after the 100",
            Reads,
            CONTINUE,
            &b""[..],
            CLIENT_DISCONNECT,
        ),
        (
            "the handler reads, and the client leaves inside its body",
            Reads,
            CONTINUE,
            b"bo",
            CLIENT_DISCONNECT,
        ),
        (
            "the handler reads the whole body",
            Reads,
            CONTINUE,
            b"body",
            "DEPARTED",
        ),
        (
            "the handler does not read",
            Refuses,
            b"HTTP/1.1 413 Payload Too Large\r\n",
            b"",
            "ABORTED(validation_error)",
        ),
        (
            "the handler neither reads nor responds",
            Hangs,
            b"",
            b"",
            CLIENT_DISCONNECT,
        ),
    ] {
        let recorder = Recorder::new();
        current_thread_runtime().block_on(async {
            let (mut client, server) = duplex(1 << 16);
            let connection = serve(
                Version::HTTP_11,
                server,
                handling(&recorder.layer(), handler),
            );
            client.write_all(EXPECTING).await.expect("the server reads");
            let mut got = vec![0; received.len()];
            client.read_exact(&mut got).await.expect("a response");
            assert_eq!(got, received, "{rule}");
            client.write_all(sent).await.expect("the server reads");
            run_until_idle().await;
            drop(client);
            run_until_idle().await;
            // The result depends on how the client left.
            connection.abort();
            let _ = connection.await;
        });
        assert_eq!(recorder.only().outcome(), outcome, "{rule}");
    }
}

/// Opens a tunnel that echoes its input, or never responds.
fn tunnelling(layer: &ApiSpanLayer, opens: bool) -> BoxedService {
    service(Some(layer), move |request: Request<Body>| async move {
        if !opens {
            std::future::pending::<()>().await;
        }
        let upgrade = hyper::upgrade::on(request);
        tokio::spawn(async move {
            // The upgrade fails if the client has left.
            let Ok(upgraded) = upgrade.await else { return };
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        // A 2xx response to CONNECT has no body, so the server does not poll this one.
        Response::new(Body::from("well"))
    })
}

#[test]
fn a_connect_abandoned_before_the_response_head_has_client_disconnect() {
    let recorder = Recorder::new();
    current_thread_runtime().block_on(async {
        let (mut client, server) = duplex(1 << 16);
        serve(
            Version::HTTP_11,
            server,
            tunnelling(&recorder.layer(), false),
        );
        client.write_all(CONNECT).await.expect("the server reads");
        run_until_idle().await;
        drop(client);
        run_until_idle().await;
    });
    assert_eq!(recorder.only().outcome(), CLIENT_DISCONNECT);
}

#[test]
fn a_connect_departs_with_its_response_head_whatever_the_tunnel_carries_and_however_it_ends() {
    for cuts in [false, true] {
        let recorder = Recorder::new();
        let layer = recorder.layer().body_sizes(true);
        current_thread_runtime().block_on(async {
            let (mut client, server) = duplex(1 << 16);
            serve(Version::HTTP_11, server, tunnelling(&layer, true));
            client.write_all(CONNECT).await.expect("the server reads");
            let mut head = vec![0; CONNECTED.len()];
            client.read_exact(&mut head).await.expect("a head");
            assert_eq!(head, CONNECTED);
            assert_eq!(recorder.ends(), 1, "with the head");
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.expect("the rest of the head"));
            }
            let mut echoed = vec![0; 10_000];
            for _ in 0..100 {
                client
                    .write_all(&[b'x'; 10_000])
                    .await
                    .expect("the tunnel is open");
                client
                    .read_exact(&mut echoed)
                    .await
                    .expect("the tunnel is open");
            }
            if cuts {
                client
                    .write_all(b"half of it")
                    .await
                    .expect("the tunnel is open");
                drop(client);
            }
            run_until_idle().await;
        });
        let span = recorder.only();
        assert_eq!(span.outcome(), "DEPARTED");
        let size = span.attribute("http.response.body.size");
        assert_eq!(
            size.as_deref(),
            Some("0"),
            "tunnelled bytes are not body bytes"
        );
    }
}
