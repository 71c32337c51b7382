//! Who sends requests to the servers, and says how long each took.

use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::time::{MissedTickBehavior, interval};

use crate::hot::TRACEPARENT;

#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

pub const CONNECTIONS: usize = 8;

/// A steady rate that leaves the server time to wait. One that is always busy hears of many requests
/// at once: the slower it is, the more, and the less each of them costs.
#[derive(Clone, Copy)]
pub struct Load {
    pub protocol: Protocol,
    pub path: &'static str,
    pub requests: usize,
    /// Requests per second and connection.
    pub rate: usize,
}

pub enum Client {
    H2load,
    Own,
}

impl Client {
    pub fn found() -> Self {
        if Command::new("h2load").arg("--version").output().is_ok() {
            Self::H2load
        } else {
            Self::Own
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::H2load => "h2load",
            Self::Own => "hyper's, in the process that measures, as there is no h2load",
        }
    }

    /// The microseconds that each request took, from first to last byte.
    pub fn send(&self, port: u16, load: &Load) -> Vec<f64> {
        match self {
            Self::H2load => h2load(port, load),
            Self::Own => own(port, load),
        }
    }
}

fn h2load(port: u16, load: &Load) -> Vec<f64> {
    let log = env::temp_dir().join(format!("peers-{}.log", process::id()));
    // It appends.
    let _ = fs::remove_file(&log);
    let mut command = Command::new("h2load");
    command.args(["-n", &load.requests.to_string()]);
    command.args(["-c", &CONNECTIONS.to_string(), "-m", "1"]);
    command.arg(format!("--rps={}", load.rate));
    command.args(["-H", &format!("traceparent: {TRACEPARENT}")]);
    command.arg(format!("--log-file={}", log.display()));
    if let Protocol::Http1 = load.protocol {
        command.arg("--h1");
    }
    command.arg(format!("http://127.0.0.1:{port}{}", load.path));
    let ran = command.output().expect("h2load started a moment ago");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let lines = fs::read_to_string(&log).expect("h2load has written its log");
    let _ = fs::remove_file(&log);
    let took = lines.lines().map(|line| {
        let mut columns = line.split('\t').skip(1);
        assert_eq!(columns.next(), Some("200"), "{line}");
        let took = columns.next().and_then(|took| took.parse().ok());
        took.expect("the third column is microseconds")
    });
    took.collect()
}

fn own(port: u16, load: &Load) -> Vec<f64> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(async {
        let connections = (0..CONNECTIONS).map(|connection| {
            let load = Load {
                requests: (load.requests + connection) / CONNECTIONS,
                ..*load
            };
            tokio::spawn(connection_of(port, load))
        });
        let took = join_all(connections).await.into_iter();
        took.flat_map(|took| took.expect("no connection panics"))
            .collect()
    })
}

async fn connection_of(port: u16, load: Load) -> Vec<f64> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let stream = TokioIo::new(stream.expect("the server listens"));
    match load.protocol {
        Protocol::Http1 => {
            let (mut to, driver) = http1::handshake(stream).await.expect("it speaks");
            tokio::spawn(driver);
            one_by_one(port, load, move |request| to.send_request(request)).await
        }
        Protocol::Http2 => {
            let shaken = http2::handshake(TokioExecutor::new(), stream).await;
            let (mut to, driver) = shaken.expect("it speaks");
            tokio::spawn(driver);
            one_by_one(port, load, move |request| to.send_request(request)).await
        }
    }
}

async fn one_by_one<F>(
    port: u16,
    load: Load,
    mut send: impl FnMut(Request<Empty<Bytes>>) -> F,
) -> Vec<f64>
where
    F: Future<Output = hyper::Result<Response<Incoming>>>,
{
    let mut ticks = interval(Duration::from_secs(1) / load.rate as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut took = Vec::with_capacity(load.requests);
    for _ in 0..load.requests {
        ticks.tick().await;
        let request = Request::get(format!("http://127.0.0.1:{port}{}", load.path))
            .header(header::HOST, format!("127.0.0.1:{port}"))
            .header(header::USER_AGENT, "peers")
            .header("traceparent", TRACEPARENT)
            .body(Empty::new())
            .expect("all parts are well-formed");
        let start = Instant::now();
        let response = send(request).await.expect("the server answers");
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await;
        body.expect("the body arrives");
        took.push(start.elapsed().as_secs_f64() * 1e6);
    }
    took
}
