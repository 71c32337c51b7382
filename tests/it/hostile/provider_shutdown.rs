//! A tracer provider that is shut down while streams are open, and requests that arrive later: all are served,
//! nothing panics, no span data stays alive, and the metrics stay balanced.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, Version};
use opentelemetry::{KeyValue, StringValue, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::Semaphore;
use tower_api_span::SpanHandle;

use super::raw::{GET, LAST_GET};
use super::{PROTOCOLS, TIMEOUT, current_thread_runtime, raw, run_until_idle, serve, service};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent};
use crate::support::meters::{Meters, Series};
use crate::support::recorder::Recorder;

#[test]
fn streams_open_during_provider_shutdown_end_and_release_their_span_data() {
    for version in PROTOCOLS {
        let (recorder, meters) = (Recorder::new(), Meters::new());
        let layer = meters.on(recorder.layer()).active_requests(true);
        let shared: Arc<str> = Arc::from("held by the span while it is open");
        current_thread_runtime().block_on(async {
            let mut clients = Vec::new();
            for leaves in [false, true] {
                let held = Arc::clone(&shared);
                let service = service(Some(&layer), move |request| {
                    let handle = SpanHandle::from_extensions(request.extensions());
                    let held = Value::String(StringValue::from(Arc::clone(&held)));
                    handle.set_attribute(KeyValue::new("test.held", held));
                    let last = if leaves { Silent } else { Data(5) };
                    // The second frame does not fit through the pipe before the client reads.
                    let body = ScriptedBody::new([Data(100_000), last]);
                    std::future::ready(Response::new(Body::new(body)))
                });
                let (mut client, server) = duplex(1_024);
                serve(version, server, service);
                let request = raw::request(version);
                client.write_all(&request).await.expect("the server reads");
                clients.push(client);
            }
            run_until_idle().await;
            assert_eq!(
                (recorder.starts(), recorder.ends(), meters.active()),
                (2, 0, 2)
            );
            assert!(
                Arc::strong_count(&shared) > 3,
                "two open spans hold the value"
            );

            recorder
                .provider
                .shutdown()
                .expect("the first shutdown succeeds");

            let leaving = clients.pop().expect("two clients");
            drop(leaving);
            let mut staying = clients.pop().expect("two clients");
            if version == Version::HTTP_2 {
                let window = raw::window(1, 1 << 20);
                staying.write_all(&window).await.expect("the server reads");
            }
            let mut bytes = vec![0; 64 << 10];
            let read_all = async {
                while meters.active() > 0 {
                    assert_ne!(staying.read(&mut bytes).await.expect("a pipe"), 0);
                }
            };
            let result = tokio::time::timeout(TIMEOUT, read_all).await;
            result.expect("the other client receives its whole response");
            drop(staying);
            run_until_idle().await;
        });
        // The SDK calls no span processor after its shutdown, so the ends are checked by the metrics.
        assert_eq!(meters.active(), 0, "{version:?}");
        let durations = meters.of("http.server.request.duration");
        assert_eq!(durations.iter().map(Series::count).sum::<u64>(), 2);
        let mut error_types: Vec<_> = durations
            .iter()
            .map(|series| series.attribute("error.type"))
            .collect();
        error_types.sort();
        let expected = [None, Some("client_disconnect".to_owned())];
        assert_eq!(error_types, expected, "{version:?}");
        assert_eq!(
            Arc::strong_count(&shared),
            1,
            "{version:?}: a span is still alive"
        );
    }
}

#[test]
fn requests_after_provider_shutdown_are_served_without_a_span() {
    let recorder = Recorder::new();
    let layer = recorder.layer();
    let count = 20;
    let complete = current_thread_runtime().block_on(async {
        let gate = Arc::new(Semaphore::new(0));
        let waits = Arc::clone(&gate);
        let service = service(Some(&layer), move |_| {
            let gate = Arc::clone(&waits);
            async move {
                let _permit = gate
                    .acquire_owned()
                    .await
                    .expect("the semaphore stays open");
                Response::new(Body::from("well"))
            }
        });
        let (mut client, server) = duplex(1 << 16);
        serve(Version::HTTP_11, server, service);
        let sent = [GET.repeat(count - 1), LAST_GET.to_vec()].concat();
        client.write_all(&sent).await.expect("the server reads");
        run_until_idle().await;
        // The first request waits in its handler and has a span. The others are not read yet.
        recorder
            .provider
            .shutdown()
            .expect("the first shutdown succeeds");
        gate.add_permits(1);
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.expect("a pipe");
        received.windows(4).filter(|four| four == b"well").count()
    });
    assert_eq!(complete, count);
    assert_eq!(recorder.starts(), 1);
}
