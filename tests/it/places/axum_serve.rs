//! The layer around the whole router, served by `axum::serve`.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tower::{ServiceBuilder, make::Shared};
use tower_api_span::SpanHandle;

use super::{called, only_of_caller};
use crate::support::recorder::Recorder;

#[tokio::test]
async fn layer_around_a_router_compiles_with_axum_serve_and_has_the_handlers_route() {
    let handler = |span: SpanHandle| async move {
        span.set_route("/users/{id}");
        "a user"
    };
    for (path, status, name, route) in [
        ("/users/7", 200, "GET /users/{id}", Some("/users/{id}")),
        ("/nowhere", 404, "GET", None),
    ] {
        let recorder = Recorder::new();
        let router = Router::new().route("/users/{id}", get(handler));
        // `axum::serve` takes a service whose responses have axum's body.
        let service = ServiceBuilder::new()
            .map_response(|response: http::Response<_>| response.map(Body::new))
            .layer(recorder.layer())
            .service(router);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async { axum::serve(listener, Shared::new(service)).await });

        let stream = TcpStream::connect(address).await.expect("a connection");
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.expect("a handshake");
        tokio::spawn(connection);
        let request = called("GET", path).body(Empty::<Bytes>::new());
        let response = sender.send_request(request.expect("a request")).await;
        let response = response.expect("a response");
        assert_eq!(response.status(), status, "{path}");
        response.into_body().collect().await.expect("a body");
        server.abort();

        let span = only_of_caller(&recorder).await;
        assert_eq!(span.0.name, name, "{path}");
        assert_eq!(span.attribute("http.route").as_deref(), route, "{path}");
    }
}
