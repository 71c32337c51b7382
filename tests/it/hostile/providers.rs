//! A provider that is shut down while streams are open, and requests that come after: they are served as
//! before, nothing panics, nothing is kept, and metrics stay balanced.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, Version};
use opentelemetry::{KeyValue, StringValue, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::Semaphore;
use tower_api_span::SpanHandle;

use super::raw::{GET, LAST_GET};
use super::{PATIENCE, PROTOCOLS, alone, raw, serve, service, settle};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent};
use crate::support::meters::{Meters, Series};
use crate::support::recorder::Recorder;

#[test]
fn streams_that_are_open_when_their_provider_is_shut_down_end_and_keep_nothing() {
    for version in PROTOCOLS {
        let (at, meters) = (Recorder::new(), Meters::new());
        let layer = meters.on(at.layer()).active_requests(true);
        let shared: Arc<str> = Arc::from("what a span holds while it is open");
        alone().block_on(async {
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
            settle().await;
            assert_eq!((at.starts(), at.ends(), meters.active()), (2, 0, 2));
            assert!(Arc::strong_count(&shared) > 3, "two spans hold it");

            at.provider
                .shutdown()
                .expect("a provider that is shut down once");

            let left = clients.pop().expect("two of them");
            drop(left);
            let mut stays = clients.pop().expect("two of them");
            if version == Version::HTTP_2 {
                let window = raw::window(1, 1 << 20);
                stays.write_all(&window).await.expect("the server reads");
            }
            let mut bytes = vec![0; 64 << 10];
            let whole = async {
                while meters.active() > 0 {
                    assert_ne!(stays.read(&mut bytes).await.expect("a pipe"), 0);
                }
            };
            let is_whole = tokio::time::timeout(PATIENCE, whole).await;
            is_whole.expect("who stays is sent all");
            drop(stays);
            settle().await;
        });
        // The SDK tells its processors nothing after its shutdown; the metrics know of all ends.
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
            "{version:?}: no span lives on"
        );
    }
}

#[test]
fn requests_after_the_shutdown_of_their_provider_are_served_without_a_span() {
    let at = Recorder::new();
    let layer = at.layer();
    let count = 20;
    let answered = alone().block_on(async {
        let gate = Arc::new(Semaphore::new(0));
        let waits = Arc::clone(&gate);
        let service = service(Some(&layer), move |_| {
            let gate = Arc::clone(&waits);
            async move {
                let _permit = gate.acquire_owned().await.expect("it is never closed");
                Response::new(Body::from("well"))
            }
        });
        let (mut client, server) = duplex(1 << 16);
        serve(Version::HTTP_11, server, service);
        let sent = [GET.repeat(count - 1), LAST_GET.to_vec()].concat();
        client.write_all(&sent).await.expect("the server reads");
        settle().await;
        // The first is waiting by now, and has a span; the others have not come yet.
        at.provider
            .shutdown()
            .expect("a provider that is shut down once");
        gate.add_permits(1);
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.expect("a pipe");
        answers.windows(4).filter(|four| four == b"well").count()
    });
    assert_eq!(answered, count);
    assert_eq!(at.starts(), 1);
}
