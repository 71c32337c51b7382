//! Servers: hyper on loopback with the batch processor, one process per contestant. All spans are counted. The
//! client is h2load or the built-in one.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context as TaskContext, Poll};
use std::thread;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::runtime;
use tower::Service;

use crate::child::{Child, answer_lines};
use crate::client::{CONNECTIONS, Client, Load, Protocol};
use crate::contestants::{Contestant, Harness};
use crate::machine::{cpu_time, pin_to_cpu};
use crate::spans::Spans;
use crate::table::{Panel, Table, median, median_ratio, percentile, ratios};

const SOME: [Contestant; 8] = [
    Contestant::Bare,
    Contestant::Floor,
    Contestant::Ours,
    Contestant::InstrumentationTower,
    Contestant::TowerOtel,
    Contestant::TraceLayer,
    Contestant::AxumTracing,
    Contestant::TowerHttpOtel,
];
const ROUNDS: usize = 6;
const FRAMES: usize = 200;
const FRAME: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}, and so on\n\n";

/// Measures each protocol with each kind of response.
pub fn tables() -> Vec<Panel> {
    // The client inherits this CPU; the server has the other one.
    pin_to_cpu(1);
    let client = Client::detect();
    let note = format!(
        "Client: {}; {CONNECTIONS} connections, each with a steady rate of requests.\n",
        client.name()
    );
    let mut panels = Vec::<Panel>::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let whole = Load {
            protocol,
            path: "/whole",
            requests: 6_000,
            rate: 1_000,
        };
        let frames = Load {
            path: "/frames",
            requests: 1_200,
            rate: 200,
            ..whole
        };
        panels.push(table(&client, &note, "small answers", &whole));
        panels.push(table(&client, "", "streams of 200 frames", &frames));
    }
    panels
}

fn table(client: &Client, note: &str, answers: &str, load: &Load) -> Panel {
    let mut servers: Vec<_> = SOME
        .iter()
        .map(|one| {
            let mut child = Child::start(&["serve", &one.key()], false);
            let port = child.numbers("port")[0] as u16;
            (child, port, Figures::default())
        })
        .collect();
    for round in 0..=ROUNDS {
        for (child, port, figures) in &mut servers {
            let before = child.numbers("cpu")[0];
            let latencies = client.send(*port, load);
            assert_eq!(latencies.len(), load.requests, "one response per request");
            let used = child.numbers("cpu")[0] - before;
            // The first round is the warm-up.
            if round > 0 {
                figures.cpu.push(used / load.requests as f64);
                figures.p50.push(percentile(&latencies, 0.5));
                figures.p99.push(percentile(&latencies, 0.99));
            }
        }
    }
    let what = format!("{}, {answers}", load.protocol.name());
    let mut table = Table::new(&[
        &what,
        "CPU µs per request",
        "ratio to bare",
        "quartiles of the rounds",
        "p50 µs",
        "ratio to bare",
        "p99 µs",
        "ratio to bare",
    ]);
    let mut panel = Panel::new(&format!(
        "Server CPU time, {what}, ratio to the bare service"
    ));
    if !note.is_empty() {
        panel.print(&note);
    }
    let bare = servers[0].2.clone();
    for (one, (child, _, figures)) in SOME.iter().zip(&mut servers) {
        let Figures { cpu, p50, p99 } = figures;
        let ratios = ratios(cpu, &bare.cpu);
        table.row(vec![
            one.name(),
            format!("{:.2}", median(cpu) / 1e3),
            format!("{:.2}", median(&ratios)),
            format!(
                "{:.2}–{:.2}",
                percentile(&ratios, 0.25),
                percentile(&ratios, 0.75)
            ),
            format!("{:.0}", median(p50)),
            format!("{:.2}", median_ratio(p50, &bare.p50)),
            format!("{:.0}", median(p99)),
            format!("{:.2}", median_ratio(p99, &bare.p99)),
        ]);
        panel.bar(&one.name(), median(&ratios));
        let heading = format!("a server's CPU, {what}, to bare");
        let ratio = format!("{:.2}", median(&ratios));
        panel.cell(&heading, &one.name(), ratio);
        let (_, ended) = child.sent_and_ended();
        let sent = (load.requests * (ROUNDS + 1)) as u64;
        let expected = if *one == Contestant::Bare { 0 } else { sent };
        assert_eq!(ended, expected, "{}: a span for each request", one.name());
    }
    panel.print(&table);
    panel
}

/// The figures of each round: CPU nanoseconds per request, and latencies at the client in microseconds.
#[derive(Clone, Default)]
struct Figures {
    cpu: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// Runs a child. The server runs on its own thread; this one answers the parent.
pub fn child(contestant: Contestant) {
    pin_to_cpu(0);
    let spans = Spans::default();
    let provider = spans.batched();
    let (port, bound) = mpsc::channel();
    let server = contestant.run(&provider, Serve { port });
    thread::spawn(server);
    let address = bound.recv().expect("the server starts");
    answer_lines(|line| match line {
        "port" => address.port().to_string(),
        "cpu" => {
            // Includes the cost of exporting the queued spans.
            provider.force_flush().expect("the exporter does not fail");
            cpu_time().to_string()
        }
        "end" => {
            provider.shutdown().expect("the exporter does not fail");
            format!("0 {}", spans.ended())
        }
        _ => unreachable!("unknown command"),
    });
}

struct Serve {
    port: mpsc::Sender<SocketAddr>,
}

impl Harness<Incoming> for Serve {
    type Body = Answer;
    type Inner = Answers;
    type Out = Box<dyn FnOnce() + Send>;

    fn inner(&self) -> Answers {
        Answers
    }

    fn run<S, B>(self, service: S) -> Self::Out
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>> + Debug,
    {
        Box::new(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0")
                    .await
                    .expect("a loopback port is available");
                let address = listener.local_addr().expect("the listener is bound");
                self.port.send(address).expect("the parent's thread waits");
                loop {
                    let (stream, _) = listener.accept().await.expect("the listener accepts");
                    stream.set_nodelay(true).expect("a TCP option");
                    let service = TowerToHyperService::new(service.clone());
                    tokio::spawn(async move {
                        // Errors are ignored: the client counts its responses.
                        let _ = auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
            });
        })
    }
}

#[derive(Clone)]
struct Answers;

impl Service<Request<Incoming>> for Answers {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let stream = request.uri().path() == "/frames";
        let frames = if stream { FRAMES } else { 1 };
        ready(Ok(Response::new(Answer { frames, stream })))
    }
}

/// A body of `frames` frames that are always ready. Its length is known unless it is a stream.
struct Answer {
    frames: usize,
    stream: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.frames == 0 {
            return Poll::Ready(None);
        }
        self.frames -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(FRAME)))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.stream {
            SizeHint::default()
        } else {
            SizeHint::with_exact((self.frames * FRAME.len()) as u64)
        }
    }
}
