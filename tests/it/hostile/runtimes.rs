//! A runtime that is dropped with requests in flight: every span ends.

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
use super::{LEFT, PATIENCE, PROTOCOLS, Served, serve, service};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Forever, Silent};

/// How many requests there are in flight, of each kind.
const EACH: usize = 16;

/// How it goes.
const WAYS: [(&str, fn(Runtime)); 3] = [
    ("drop", drop),
    ("shutdown_background", Runtime::shutdown_background),
    ("shutdown_timeout(0)", |runtime| {
        runtime.shutdown_timeout(Duration::ZERO);
    }),
];

/// Handlers that hang, bodies that are silent and bodies that go on, one after the other; and how many of
/// them are at work.
fn handlers(tally: &Tally, at_work: &Arc<AtomicUsize>) -> Served {
    let (at_work, calls) = (Arc::clone(at_work), Arc::new(AtomicUsize::new(0)));
    service(Some(&tally.layer()), move |_| {
        let at_work = Arc::clone(&at_work);
        let nth = calls.fetch_add(1, Ordering::SeqCst);
        let note = move || {
            at_work.fetch_add(1, Ordering::SeqCst);
        };
        async move {
            let steps = match nth % 3 {
                0 => {
                    note();
                    std::future::pending().await
                }
                1 => [Data(5), Silent],
                _ => [Data(5), Forever(16 << 10)],
            };
            let mut once = Some(note);
            let body = ScriptedBody::new(steps).on_poll(move || {
                if let Some(note) = once.take() {
                    note();
                }
            });
            Response::new(Body::new(body))
        }
    })
}

async fn accept(version: Version, listener: TcpListener, served: Served) {
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        serve(version, socket, served.clone());
    }
}

/// Opens all requests, and keeps the sockets.
fn clients(version: Version, to: SocketAddr) -> Vec<TcpStream> {
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

/// Waits until it is so; there is no runtime any more to do it with.
fn wait_until(mut is_so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn all_spans_end_when_the_runtime_is_dropped_with_requests_in_flight() {
    for version in PROTOCOLS {
        for threads in [1, 2] {
            for (way, end) in WAYS {
                let case = format!("{version:?}, {threads} threads, {way}");
                let tally = Tally::default();
                let at_work = Arc::new(AtomicUsize::new(0));
                let served = handlers(&tally, &at_work);
                let runtime = Builder::new_multi_thread()
                    .worker_threads(threads)
                    .enable_all()
                    .build()
                    .expect("a runtime");
                let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
                let listener = runtime.block_on(listening).expect("a free port");
                let address = listener.local_addr().expect("an address");
                runtime.spawn(accept(version, listener, served));
                let _open = clients(version, address);
                let all = || at_work.load(Ordering::SeqCst) == 3 * EACH;
                assert!(wait_until(all), "{case}: {at_work:?} at work");
                assert_eq!((tally.starts(), tally.ends()), (3 * EACH, 0), "{case}");
                end(runtime);
                let ended = wait_until(|| tally.ends() == 3 * EACH);
                assert!(ended, "{case}: {} spans have ended", tally.ends());
                tally.check(&case, 3 * EACH, LEFT);
            }
        }
    }
}

#[test]
fn all_spans_end_when_a_runtime_of_one_thread_is_dropped() {
    for version in PROTOCOLS {
        let tally = Tally::default();
        let at_work = Arc::new(AtomicUsize::new(0));
        let served = handlers(&tally, &at_work);
        let runtime = super::alone();
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(listening).expect("a free port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(accept(version, listener, served));
        let open = thread::spawn(move || clients(version, address));
        let all = || at_work.load(Ordering::SeqCst) == 3 * EACH;
        runtime.block_on(async {
            // The clock of the sockets is the system's: there is more to wait for than turns.
            let start = Instant::now();
            while !all() {
                assert!(start.elapsed() < PATIENCE, "not all are at work");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        drop(runtime);
        tally.check(&format!("{version:?}"), 3 * EACH, LEFT);
        drop(open.join().expect("no panic"));
    }
}
