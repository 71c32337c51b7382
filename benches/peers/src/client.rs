//! The client that sends requests to the servers and measures latencies.

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

/// A load at a steady rate, at which the server is idle between requests. A saturated server reads several
/// requests at once, which lowers the cost per request, the more the slower it is.
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
    BuiltIn,
}

impl Client {
    /// Returns h2load if it is installed, or else the built-in client.
    pub fn detect() -> Self {
        if Command::new("h2load").arg("--version").output().is_ok() {
            Self::H2load
        } else {
            Self::BuiltIn
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::H2load => "h2load",
            Self::BuiltIn => {
                "a hyper client in the measuring process, because h2load is not installed"
            }
        }
    }

    /// Sends the load. Returns the latency of each request in microseconds, from first to last byte.
    pub fn send(&self, port: u16, load: &Load) -> Vec<f64> {
        match self {
            Self::H2load => h2load(port, load),
            Self::BuiltIn => built_in(port, load),
        }
    }
}

fn h2load(port: u16, load: &Load) -> Vec<f64> {
    let log = env::temp_dir().join(format!("peers-{}.log", process::id()));
    // h2load appends to the log.
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
    let output = command.output().expect("h2load starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = fs::read_to_string(&log).expect("h2load has written its log");
    let _ = fs::remove_file(&log);
    let latencies = lines.lines().map(|line| {
        let mut columns = line.split('\t').skip(1);
        assert_eq!(columns.next(), Some("200"), "{line}");
        let latency = columns.next().and_then(|latency| latency.parse().ok());
        latency.expect("the third column is microseconds")
    });
    latencies.collect()
}

fn built_in(port: u16, load: &Load) -> Vec<f64> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(async {
        let connections = (0..CONNECTIONS).map(|connection| {
            let load = Load {
                requests: (load.requests + connection) / CONNECTIONS,
                ..*load
            };
            tokio::spawn(run_connection(port, load))
        });
        let latencies = join_all(connections).await.into_iter();
        latencies
            .flat_map(|latencies| latencies.expect("no connection panics"))
            .collect()
    })
}

async fn run_connection(port: u16, load: Load) -> Vec<f64> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let stream = TokioIo::new(stream.expect("the server listens"));
    match load.protocol {
        Protocol::Http1 => {
            let (mut to, driver) = http1::handshake(stream)
                .await
                .expect("the handshake succeeds");
            tokio::spawn(driver);
            send_at_rate(port, load, move |request| to.send_request(request)).await
        }
        Protocol::Http2 => {
            let shaken = http2::handshake(TokioExecutor::new(), stream).await;
            let (mut to, driver) = shaken.expect("the handshake succeeds");
            tokio::spawn(driver);
            send_at_rate(port, load, move |request| to.send_request(request)).await
        }
    }
}

async fn send_at_rate<F>(
    port: u16,
    load: Load,
    mut send: impl FnMut(Request<Empty<Bytes>>) -> F,
) -> Vec<f64>
where
    F: Future<Output = hyper::Result<Response<Incoming>>>,
{
    let mut ticks = interval(Duration::from_secs(1) / load.rate as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut latencies = Vec::with_capacity(load.requests);
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
        latencies.push(start.elapsed().as_secs_f64() * 1e6);
    }
    latencies
}
