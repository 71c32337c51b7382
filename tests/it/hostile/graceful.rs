//! Servers that shut down gracefully: what is open may end well, and what does not by some limit is cut
//! and has been given up.

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
use super::{LEFT, PROTOCOLS, Served, alone, raw, service, settle, until};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent};

/// How many streams end well, and how many do not.
const EACH: usize = 8;
const LIMIT: Duration = Duration::from_millis(200);

/// The first handlers wait to be told and answer then; the others' bodies are silent.
#[derive(Clone)]
struct Handlers {
    calls: Arc<AtomicUsize>,
    told: watch::Receiver<bool>,
}

impl Handlers {
    fn new() -> (Self, watch::Sender<bool>) {
        let (tell, told) = watch::channel(false);
        let calls = Arc::default();
        (Self { calls, told }, tell)
    }

    async fn answer(mut self) -> Response<Body> {
        let nth = self.calls.fetch_add(1, Ordering::SeqCst);
        if nth >= EACH {
            return Response::new(Body::new(ScriptedBody::new([Data(5), Silent])));
        }
        let told = self.told.wait_for(|told| *told).await;
        told.expect("it is told before it is dropped");
        Response::new(Body::new(ScriptedBody::new([Data(5), Data(5)])))
    }

    fn served(&self, tally: &Tally) -> Served {
        let handlers = self.clone();
        service(Some(&tally.layer()), move |_: Request<Body>| {
            handlers.clone().answer()
        })
    }

    fn all_called(&self) -> bool {
        self.calls.load(Ordering::SeqCst) == 2 * EACH
    }
}

fn expected() -> [(String, usize); 2] {
    [(LEFT.to_owned(), EACH), ("DEPARTED".to_owned(), EACH)]
}

#[test]
fn hyper_utils_graceful_shutdown_lets_open_streams_depart_and_the_limit_cuts_the_others() {
    for version in PROTOCOLS {
        let tally = Tally::default();
        alone().block_on(async {
            tokio::time::pause();
            let (handlers, tell) = Handlers::new();
            let handling = handlers.served(&tally);
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
                // One after the other, so that the first are the first.
                settle().await;
            }
            assert!(handlers.all_called());
            assert_eq!((tally.starts(), tally.ends()), (2 * EACH, 0));

            let mut shutdown = std::pin::pin!(graceful.shutdown());
            let over = timeout(LIMIT, &mut shutdown).await;
            assert!(over.is_err(), "it waits for what is open");
            assert_eq!(tally.ends(), 0, "{version:?}");
            tell.send(true).expect("they wait");
            let over = timeout(LIMIT, shutdown).await;
            assert!(over.is_err(), "it waits for those that are silent");
            tally.check_all(&[("DEPARTED", EACH)]);
            for task in &tasks {
                task.abort();
            }
            settle().await;
        });
        assert_eq!(tally.outcomes(), expected(), "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axums_graceful_shutdown_lets_open_streams_depart_and_the_limit_cuts_the_others() {
    for version in PROTOCOLS {
        let tally = Tally::default();
        let (handlers, tell) = Handlers::new();
        let handler = handlers.clone();
        let app = Router::new()
            .route("/", any(move || handler.answer()))
            .layer(tally.layer());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        // A server of its own runtime: what dropping it cuts is all there is.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime.spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            axum::serve(listener, app)
                .with_graceful_shutdown(until)
                .await
        });
        let mut clients = Vec::new();
        for nth in 0..2 * EACH {
            let mut client = TcpStream::connect(address).await.expect("a connection");
            let request = raw::request(version);
            client.write_all(&request).await.expect("the server reads");
            clients.push(client);
            let calls = &handlers.calls;
            until("it is called", || calls.load(Ordering::SeqCst) == nth + 1).await;
        }
        stop.send(()).expect("it listens");
        tell.send(true).expect("they wait");
        until("those end", || tally.ends() == EACH).await;
        tally.check_all(&[("DEPARTED", EACH)]);
        let ended = timeout(LIMIT, async {
            while !server.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(ended.await.is_err(), "it waits for those that are silent");
        runtime.shutdown_background();
        until("all spans end", || tally.ends() == 2 * EACH).await;
        assert_eq!(tally.outcomes(), expected(), "{version:?}");
    }
}

/// A request that comes when the server is going is not served, and has no span.
#[test]
fn what_comes_after_the_shutdown_has_begun_has_no_span() {
    let tally = Tally::default();
    alone().block_on(async {
        let (handlers, tell) = Handlers::new();
        let (mut client, server) = duplex(1 << 16);
        let builder = auto::Builder::new(TokioExecutor::new());
        let service = TowerToHyperService::new(handlers.served(&tally));
        let connection = builder.serve_connection(TokioIo::new(server), service);
        let graceful = GracefulShutdown::new();
        tokio::spawn(graceful.watch(connection.into_owned()));
        client.write_all(raw::GET).await.expect("the server reads");
        settle().await;
        let shutdown = tokio::spawn(graceful.shutdown());
        settle().await;
        client.write_all(raw::GET).await.expect("a pipe with room");
        tell.send(true).expect("it waits");
        shutdown.await.expect("no panic");
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).await.expect("an end");
    });
    let version = Version::HTTP_11;
    tally.check(&format!("{version:?}"), 1, "DEPARTED");
}

/// Before it closes a connection of HTTP/2, hyper waits until the client has answered a PING, and has no
/// limit for that: a server needs one of its own. The span does not wait.
#[test]
fn a_client_that_answers_no_ping_holds_up_the_server_and_no_span() {
    let tally = Tally::default();
    alone().block_on(async {
        tokio::time::pause();
        let (handlers, tell) = Handlers::new();
        let (mut client, server) = duplex(1 << 16);
        let builder = auto::Builder::new(TokioExecutor::new());
        let service = TowerToHyperService::new(handlers.served(&tally));
        let connection = builder.serve_connection(TokioIo::new(server), service);
        let graceful = GracefulShutdown::new();
        tokio::spawn(graceful.watch(connection.into_owned()));
        let request = raw::request(Version::HTTP_2);
        client.write_all(&request).await.expect("the server reads");
        settle().await;
        tell.send(true).expect("it waits");
        let mut shutdown = std::pin::pin!(graceful.shutdown());
        let over = timeout(LIMIT, &mut shutdown).await;
        assert!(over.is_err(), "it waits for the client");
        tally.check("the client is there", 1, "DEPARTED");
        drop(client);
        let over = timeout(LIMIT, shutdown).await;
        assert!(over.is_ok(), "the client is gone");
    });
}
