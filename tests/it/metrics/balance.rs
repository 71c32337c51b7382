//! Ten thousand requests with all endings on several threads: counts and sums agree with the spans.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::endings::{ALL, Ending};
use super::{CALL_DURATION, DURATION, RESPONSE_SIZE};
use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Recorder, Seen, is_server};

const THREADS: usize = 4;
const ROUNDS: usize = 150;
const REQUESTS: usize = THREADS * ROUNDS * ALL.len();

/// Returns whether an ending is gRPC, and its `error.type`.
fn key(ending: &Ending) -> (bool, Option<&'static str>) {
    (ending.is_grpc(), ending.error_type)
}

#[test]
fn counts_and_sums_of_ten_thousand_requests_equal_those_of_their_spans() {
    const { assert!(REQUESTS >= 10_000) };
    let (recorder, meters) = (Recorder::new(), Meters::new());
    let layer = meters
        .on(recorder.layer())
        .active_requests(true)
        .body_sizes(true);
    let read = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    for ending in &ALL {
                        let bytes = ending.run(&layer);
                        if !ending.is_grpc() {
                            read.fetch_add(bytes, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(meters.active(), 0);
    let series = meters.of("http.server.active_requests");
    assert_eq!(series.len(), 2, "GET and POST");

    let durations = [meters.of(DURATION), meters.of(CALL_DURATION)].concat();
    let count: u64 = durations.iter().map(Series::count).sum();
    assert_eq!(count, REQUESTS as u64);
    for kind in &ALL {
        let kinds = ALL.iter().filter(|other| key(other) == key(kind)).count();
        let matching = durations.iter().filter(|series| {
            let error_type = series.attribute("error.type");
            (series.metric == CALL_DURATION, error_type.as_deref()) == key(kind)
        });
        let count: u64 = matching.map(Series::count).sum();
        assert_eq!(count, (kinds * THREADS * ROUNDS) as u64, "{}", kind.name);
    }
    let spans = recorder.spans();
    let spans: Vec<_> = spans.into_iter().filter(is_server).map(Seen).collect();
    assert_eq!(spans.len(), REQUESTS);
    let measured: f64 = durations.iter().map(Series::sum).sum();
    let expected: f64 = spans.iter().map(|span| span.duration().as_secs_f64()).sum();
    // The tolerance covers the rounding of all summands.
    assert!((measured - expected).abs() < 1e-6, "{measured}, {expected}");

    let sizes: f64 = meters.of(RESPONSE_SIZE).iter().map(Series::sum).sum();
    let read = read.into_inner();
    assert_eq!(sizes.to_string(), read.to_string());
}

#[test]
fn a_request_is_active_from_its_arrival_to_its_end() {
    use crate::support::body::ScriptedBody;
    use crate::support::body::Step::Data;
    use crate::support::{answering, get, poll_frame, ready, response};
    use tower::Service as _;

    let meters = Meters::new();
    let layer = meters.layer().active_requests(true);
    let mut service = answering(&layer, |_| {
        assert_eq!(meters.active(), 1, "in the handler");
        response(200, ScriptedBody::new([Data(3), Data(3)]))
    });
    let response = ready(service.call(get())).expect("a response");
    assert_eq!(meters.active(), 1, "with its head");
    let mut body = response.into_body();
    assert!(poll_frame(&mut body).is_ready());
    assert_eq!(meters.active(), 1, "midway");
    drop(body);
    assert_eq!(meters.active(), 0, "left");

    let mut service = answering(&layer, |_| empty_response());
    let futures = [service.call(get()), service.call(get())];
    assert_eq!(meters.active(), 2, "not polled");
    drop(futures);
    assert_eq!(meters.active(), 0, "dropped");
}

fn empty_response() -> http::Response<String> {
    http::Response::new(String::new())
}
