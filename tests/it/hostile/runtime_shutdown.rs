//! A tokio runtime that is dropped with requests in flight: every span ends.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Response, Version};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::raw::{GET, headers, preface};
use super::tally::Tally;
use super::{BoxedService, CLIENT_DISCONNECT, PROTOCOLS, TIMEOUT, serve, service};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Forever, Silent};

/// The number of requests in flight for each kind of handler.
const EACH: usize = 16;

/// The ways to drop a runtime.
const WAYS: [(&str, fn(Runtime)); 3] = [
    ("drop", drop),
    ("shutdown_background", Runtime::shutdown_background),
    ("shutdown_timeout(0)", |runtime| {
        runtime.shutdown_timeout(Duration::ZERO);
    }),
];

/// Returns a service whose handlers alternate: one hangs, one has a silent body, one has an endless body.
/// `in_flight` counts the requests that have reached that point.
fn handlers(tally: &Tally, in_flight: &Arc<AtomicUsize>) -> BoxedService {
    let (in_flight, calls) = (Arc::clone(in_flight), Arc::new(AtomicUsize::new(0)));
    service(Some(&tally.layer()), move |_| {
        let in_flight = Arc::clone(&in_flight);
        let nth = calls.fetch_add(1, Ordering::SeqCst);
        let count = move || {
            in_flight.fetch_add(1, Ordering::SeqCst);
        };
        async move {
            let steps = match nth % 3 {
                0 => {
                    count();
                    std::future::pending().await
                }
                1 => [Data(5), Silent],
                _ => [Data(5), Forever(16 << 10)],
            };
            let mut once = Some(count);
            let body = ScriptedBody::new(steps).on_poll(move || {
                if let Some(count) = once.take() {
                    count();
                }
            });
            Response::new(Body::new(body))
        }
    })
}

async fn accept(version: Version, listener: TcpListener, served: BoxedService) {
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        serve(version, socket, served.clone());
    }
}

/// Sends all requests and returns the open sockets.
fn send_requests(version: Version, to: SocketAddr) -> Vec<TcpStream> {
    let connect = || TcpStream::connect(to).expect("a connection");
    if version == Version::HTTP_2 {
        let mut socket = connect();
        let ids = (1..).step_by(2).take(3 * EACH);
        let requests = ids.flat_map(headers).collect::<Vec<_>>();
        let sent = [preface(), requests].concat();
        socket.write_all(&sent).expect("the server reads");
        vec![socket]
    } else {
        let sockets = (0..3 * EACH).map(|_| {
            let mut socket = connect();
            socket.write_all(GET).expect("the server reads");
            socket
        });
        sockets.collect()
    }
}

/// Blocks until a condition is met. Returns `false` after [`TIMEOUT`].
fn block_until(mut is_met: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !is_met() {
        if start.elapsed() > TIMEOUT {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn all_spans_end_when_a_multi_thread_runtime_is_dropped_with_requests_in_flight() {
    for version in PROTOCOLS {
        for threads in [1, 2] {
            for (way, end) in WAYS {
                let case = format!("{version:?}, {threads} threads, {way}");
                let tally = Tally::default();
                let in_flight = Arc::new(AtomicUsize::new(0));
                let served = handlers(&tally, &in_flight);
                let runtime = Builder::new_multi_thread()
                    .worker_threads(threads)
                    .enable_all()
                    .build()
                    .expect("a runtime");
                let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
                let listener = runtime.block_on(listening).expect("a free port");
                let address = listener.local_addr().expect("an address");
                runtime.spawn(accept(version, listener, served));
                let _sockets = send_requests(version, address);
                let all = || in_flight.load(Ordering::SeqCst) == 3 * EACH;
                assert!(block_until(all), "{case}: {in_flight:?} in flight");
                assert_eq!((tally.starts(), tally.ends()), (3 * EACH, 0), "{case}");
                end(runtime);
                let ended = block_until(|| tally.ends() == 3 * EACH);
                assert!(ended, "{case}: {} spans have ended", tally.ends());
                tally.check(&case, 3 * EACH, CLIENT_DISCONNECT);
            }
        }
    }
}

#[test]
fn all_spans_end_when_a_current_thread_runtime_is_dropped_with_requests_in_flight() {
    for version in PROTOCOLS {
        let tally = Tally::default();
        let in_flight = Arc::new(AtomicUsize::new(0));
        let served = handlers(&tally, &in_flight);
        let runtime = super::current_thread_runtime();
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(listening).expect("a free port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(accept(version, listener, served));
        let sockets = thread::spawn(move || send_requests(version, address));
        let all = || in_flight.load(Ordering::SeqCst) == 3 * EACH;
        runtime.block_on(async {
            // Yielding is not enough: the sockets' data arrives in real time.
            let start = Instant::now();
            while !all() {
                assert!(start.elapsed() < TIMEOUT, "not all requests are in flight");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        drop(runtime);
        tally.check(&format!("{version:?}"), 3 * EACH, CLIENT_DISCONNECT);
        drop(sockets.join().expect("no panic"));
    }
}
