//! Graceful shutdown of servers: responses that complete within the time limit depart. The others are cut off
//! and end with `client_disconnect`.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::tally::Tally;
use super::{
    BoxedService, CLIENT_DISCONNECT, PROTOCOLS, current_thread_runtime, raw, run_until_idle,
    service, wait_until,
};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent};

/// The number of responses that complete, and of those that do not.
const EACH: usize = 8;
const LIMIT: Duration = Duration::from_millis(200);

/// The first handlers respond when they are released. The others respond at once with silent bodies.
#[derive(Clone)]
struct Handlers {
    calls: Arc<AtomicUsize>,
    released: watch::Receiver<bool>,
}

impl Handlers {
    fn new() -> (Self, watch::Sender<bool>) {
        let (release, released) = watch::channel(false);
        let calls = Arc::default();
        (Self { calls, released }, release)
    }

    async fn respond(mut self) -> Response<Body> {
        let nth = self.calls.fetch_add(1, Ordering::SeqCst);
        if nth >= EACH {
            return Response::new(Body::new(ScriptedBody::new([Data(5), Silent])));
        }
        let released = self.released.wait_for(|released| *released).await;
        released.expect("released before the sender is dropped");
        Response::new(Body::new(ScriptedBody::new([Data(5), Data(5)])))
    }

    fn service(&self, tally: &Tally) -> BoxedService {
        let handlers = self.clone();
        service(Some(&tally.layer()), move |_: Request<Body>| {
            handlers.clone().respond()
        })
    }

    fn has_called_all(&self) -> bool {
        self.calls.load(Ordering::SeqCst) == 2 * EACH
    }
}

fn expected_outcomes() -> [(String, usize); 2] {
    [
        (CLIENT_DISCONNECT.to_owned(), EACH),
        ("DEPARTED".to_owned(), EACH),
    ]
}

#[test]
fn hyper_util_graceful_shutdown_lets_open_responses_depart_and_the_time_limit_cuts_off_the_others()
{
    for version in PROTOCOLS {
        let tally = Tally::default();
        current_thread_runtime().block_on(async {
            tokio::time::pause();
            let (handlers, release) = Handlers::new();
            let handling = handlers.service(&tally);
            let graceful = GracefulShutdown::new();
            let mut clients: Vec<DuplexStream> = Vec::new();
            let mut tasks = Vec::new();
            for _ in 0..2 * EACH {
                let (mut client, server) = duplex(1 << 16);
                let builder = auto::Builder::new(TokioExecutor::new());
                let service = TowerToHyperService::new(handling.clone());
                let connection =
                    builder.serve_connection_with_upgrades(TokioIo::new(server), service);
                tasks.push(tokio::spawn(graceful.watch(connection.into_owned())));
                let request = raw::request(version);
                client.write_all(&request).await.expect("the server reads");
                clients.push(client);
                // One after the other, which fixes the order of the handler calls.
                run_until_idle().await;
            }
            assert!(handlers.has_called_all());
            assert_eq!((tally.starts(), tally.ends()), (2 * EACH, 0));

            let mut shutdown = std::pin::pin!(graceful.shutdown());
            let result = timeout(LIMIT, &mut shutdown).await;
            assert!(result.is_err(), "it waits for open responses");
            assert_eq!(tally.ends(), 0, "{version:?}");
            release.send(true).expect("the handlers wait");
            let result = timeout(LIMIT, shutdown).await;
            assert!(result.is_err(), "it waits for the silent bodies");
            tally.check_all(&[("DEPARTED", EACH)]);
            for task in &tasks {
                task.abort();
            }
            run_until_idle().await;
        });
        assert_eq!(tally.outcomes(), expected_outcomes(), "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_graceful_shutdown_lets_open_responses_depart_and_the_time_limit_cuts_off_the_others()
{
    for version in PROTOCOLS {
        let tally = Tally::default();
        let (handlers, release) = Handlers::new();
        let handler = handlers.clone();
        let app = Router::new()
            .route("/", any(move || handler.respond()))
            .layer(tally.layer());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        // The server has a runtime of its own, so dropping that cuts off nothing else.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime.spawn(async move {
            let signal = async {
                let _ = stopped.await;
            };
            axum::serve(listener, app)
                .with_graceful_shutdown(signal)
                .await
        });
        let mut clients = Vec::new();
        for nth in 0..2 * EACH {
            let mut client = TcpStream::connect(address).await.expect("a connection");
            let request = raw::request(version);
            client.write_all(&request).await.expect("the server reads");
            clients.push(client);
            let calls = &handlers.calls;
            wait_until("the handler is called", || {
                calls.load(Ordering::SeqCst) == nth + 1
            })
            .await;
        }
        stop.send(()).expect("the server runs");
        release.send(true).expect("the handlers wait");
        wait_until("the released responses end", || tally.ends() == EACH).await;
        tally.check_all(&[("DEPARTED", EACH)]);
        let ended = timeout(LIMIT, async {
            while !server.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(ended.await.is_err(), "it waits for the silent bodies");
        runtime.shutdown_background();
        wait_until("all spans end", || tally.ends() == 2 * EACH).await;
        assert_eq!(tally.outcomes(), expected_outcomes(), "{version:?}");
    }
}

#[test]
fn a_request_sent_during_shutdown_is_not_served_and_has_no_span() {
    let tally = Tally::default();
    current_thread_runtime().block_on(async {
        let (handlers, release) = Handlers::new();
        let (mut client, server) = duplex(1 << 16);
        let builder = auto::Builder::new(TokioExecutor::new());
        let service = TowerToHyperService::new(handlers.service(&tally));
        let connection = builder.serve_connection(TokioIo::new(server), service);
        let graceful = GracefulShutdown::new();
        tokio::spawn(graceful.watch(connection.into_owned()));
        client.write_all(raw::GET).await.expect("the server reads");
        run_until_idle().await;
        let shutdown = tokio::spawn(graceful.shutdown());
        run_until_idle().await;
        client.write_all(raw::GET).await.expect("a pipe with room");
        release.send(true).expect("the handler waits");
        shutdown.await.expect("no panic");
        let mut bytes = Vec::new();
        client
            .read_to_end(&mut bytes)
            .await
            .expect("the end of the connection");
    });
    let version = Version::HTTP_11;
    tally.check(&format!("{version:?}"), 1, "DEPARTED");
}

/// Before hyper closes an HTTP/2 connection, it waits for the client's PING response, without a time limit. The
/// span does not wait.
#[test]
fn a_client_that_ignores_ping_delays_the_shutdown_but_not_the_end_of_the_span() {
    let tally = Tally::default();
    current_thread_runtime().block_on(async {
        tokio::time::pause();
        let (handlers, release) = Handlers::new();
        let (mut client, server) = duplex(1 << 16);
        let builder = auto::Builder::new(TokioExecutor::new());
        let service = TowerToHyperService::new(handlers.service(&tally));
        let connection = builder.serve_connection(TokioIo::new(server), service);
        let graceful = GracefulShutdown::new();
        tokio::spawn(graceful.watch(connection.into_owned()));
        let request = raw::request(Version::HTTP_2);
        client.write_all(&request).await.expect("the server reads");
        run_until_idle().await;
        release.send(true).expect("the handler waits");
        let mut shutdown = std::pin::pin!(graceful.shutdown());
        let result = timeout(LIMIT, &mut shutdown).await;
        assert!(result.is_err(), "the shutdown waits for the client");
        tally.check("before the client leaves", 1, "DEPARTED");
        drop(client);
        let result = timeout(LIMIT, shutdown).await;
        assert!(
            result.is_ok(),
            "the shutdown ends after the client has left"
        );
    });
}
