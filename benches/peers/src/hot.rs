//! Requests in a loop, without a server. Each child runs one contestant and executes the parent's commands; the
//! children take turns.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use opentelemetry::trace::{SpanId, SpanKind};
use opentelemetry_sdk::trace::SpanData;
use tower::Service;

use crate::allocator;
use crate::child::{Child, answer_lines};
use crate::contestants::{self, Contestant, Harness};
use crate::machine::cpu_time;
use crate::real_request::RealRequest;
use crate::spans::Spans;
use crate::table::{Panel, Table, best, median, median_ratio, percentile, ratios};

const BODY: &[u8] = b"hello, world";
pub const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ROUNDS: usize = 21;
const REQUESTS: u64 = 10_000;
/// The requests that are built at a time. As on a server that has just read a request, they are in the cache.
const FEW: u64 = 20;
/// Large enough that occasional allocations, such as new random seeds, are visible as such.
const COUNTED: u64 = 1_000;

/// Measures all contestants, with a processor that only counts.
pub fn table(sent: Sent) -> Panel {
    let mut children = children(&contestants::ALL, "count", sent, false);
    let descriptions: Vec<_> = children
        .iter_mut()
        .map(|(_, child)| child.ask("describe"))
        .collect();
    let times = times(&mut children, REQUESTS);
    let (bare, ours) = (&times[0].0, &times[2].0);
    let layer = format!("layer, {} request", sent.key());
    let mut table = Table::new(&[
        &layer,
        "allocations + reallocations",
        "time, ratio to ours",
        "quartiles of the rounds",
        "ratio to bare",
        "best µs",
        "attributes (of the conventions)",
        "events",
        "kind",
        "parent",
        "ends with",
        "end time taken at",
    ]);
    let title = format!(
        "Time per {} request in a loop, ratio to tower-api-span",
        sent.key()
    );
    let mut panel = Panel::new(&title);
    for (at, (contestant, child)) in children.iter_mut().enumerate() {
        let counted = child.numbers(&format!("allocations {COUNTED}"));
        let (times, _) = &times[at];
        let to_ours = ratios(times, ours);
        let mut row = vec![
            contestant.name(),
            format!("{} + {}", each(counted[0]), each(counted[1])),
            format!("{:.2}", median(&to_ours)),
            format!(
                "{:.2}–{:.2}",
                percentile(&to_ours, 0.25),
                percentile(&to_ours, 0.75)
            ),
            format!("{:.1}", median_ratio(times, bare)),
            format!("{:.2}", best(times) / 1e3),
        ];
        let cells: Vec<_> = descriptions[at].split('\t').map(str::to_owned).collect();
        let name = contestant.name();
        let of = |what: &str| format!("{} request: {what}", sent.key());
        panel.cell(&of("allocations"), &name, each(counted[0]));
        panel.cell(&of("time"), &name, format!("{:.2}", median(&to_ours)));
        if sent == Sent::Real {
            panel.cell("attributes (of the conventions)", &name, cells[0].clone());
            panel.cell("events", &name, cells[1].clone());
            panel.cell("span ends with", &name, cells[4].clone());
        }
        row.extend(cells);
        table.row(row);
        panel.bar(&name, median(&to_ours));
    }
    end(children);
    panel.print(&table);
    panel
}

/// Measures some contestants with the batch processor, whose thread frees memory of the request's thread.
pub fn batch_table(sent: Sent) -> Panel {
    let some = [
        Contestant::Floor,
        Contestant::Ours,
        Contestant::InstrumentationTower,
        Contestant::TraceLayer,
    ];
    let layer = format!("layer, with the batch processor, {} request", sent.key());
    let mut table = Table::new(&[
        &layer,
        "glibc: request thread, µs",
        "ratio to ours",
        "total CPU, µs",
        "ratio to ours",
        "mimalloc: request thread, µs",
        "ratio to ours",
        "total CPU, µs",
        "ratio to ours",
        "glibc / mimalloc, request thread",
        "glibc / mimalloc, total CPU",
    ]);
    let title = format!(
        "CPU time per {} request with the batch processor, ratio of glibc to mimalloc",
        sent.key()
    );
    let mut panel = Panel::new(&title);
    // All take turns, so that other load on the machine slows all of them in a round.
    let mut children = children(&some, "batch", sent, false);
    children.extend(self::children(&some, "batch", sent, true));
    let times = times(&mut children, 2 * REQUESTS);
    end(children);
    let (glibc, mimalloc) = times.split_at(some.len());
    for (at, contestant) in some.iter().enumerate() {
        let mut row = vec![contestant.name()];
        for times in [glibc, mimalloc] {
            let ((thread, cpus), ours) = (&times[at], &times[1]);
            row.push(format!("{:.2}", median(thread) / 1e3));
            row.push(format!("{:.2}", median_ratio(thread, &ours.0)));
            row.push(format!("{:.2}", median(cpus) / 1e3));
            row.push(format!("{:.2}", median_ratio(cpus, &ours.1)));
        }
        let ratio = median_ratio(&glibc[at].1, &mimalloc[at].1);
        row.push(format!(
            "{:.2}",
            median_ratio(&glibc[at].0, &mimalloc[at].0)
        ));
        row.push(format!("{ratio:.2}"));
        table.row(row);
        panel.bar(&contestant.name(), ratio);
    }
    panel.print(&table);
    panel
}

fn children(
    contestants: &[Contestant],
    spans: &str,
    sent: Sent,
    mimalloc: bool,
) -> Vec<(Contestant, Child)> {
    let start = |one: &Contestant| {
        let arguments = ["loop", &one.key(), spans, sent.key()];
        (*one, Child::start(&arguments, mimalloc))
    };
    contestants.iter().map(start).collect()
}

/// Returns, per contestant, the nanoseconds per request in each round: elapsed on the request's thread, and of
/// CPU time in total.
fn times(children: &mut [(Contestant, Child)], requests: u64) -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut times = vec![(Vec::new(), Vec::new()); children.len()];
    for round in 0..=ROUNDS {
        for ((_, child), (thread, cpus)) in children.iter_mut().zip(&mut times) {
            let took = child.numbers(&format!("time {requests}"));
            // The first round is the warm-up.
            if round > 0 {
                thread.push(took[0] / requests as f64);
                cpus.push(took[1] / requests as f64);
            }
        }
    }
    times
}

fn end(children: Vec<(Contestant, Child)>) {
    for (contestant, mut child) in children {
        let (sent, ended) = child.sent_and_ended();
        let expected = if contestant == Contestant::Bare {
            0
        } else {
            sent
        };
        assert_eq!(
            ended,
            expected,
            "{}: a span for each request",
            contestant.name()
        );
    }
}

fn each(count: f64) -> String {
    let each = count / COUNTED as f64;
    if each.fract() < 0.02 {
        format!("{each:.0}")
    } else {
        format!("{each:.1}")
    }
}

/// Runs a child.
pub fn child(contestant: Contestant, batch: bool, sent: Sent) {
    let requests = Requests::new(sent);
    let (spans, provider);
    if batch {
        spans = Spans::pinned();
        provider = spans.batched();
    } else {
        spans = Spans::default();
        provider = spans.counted();
    }
    let mut send = contestant.run(&provider, Loop(Requests::new(sent)));
    let mut sent = 0;
    answer_lines(|line| {
        let (what, count) = line.split_once(' ').unwrap_or((line, "0"));
        let count = count.parse().expect("the parent sends a count");
        sent += count;
        match what {
            "describe" => {
                sent += 1;
                describe_span(&mut send, &spans)
            }
            "allocations" => {
                let requests = requests.build(count);
                let (new, grown) = allocator::count_during(|| send.all(requests));
                format!("{new} {grown}")
            }
            "time" if batch => {
                // All are built before, because the other thread works on while requests are built.
                let requests = requests.build(count);
                let (start, cpu) = (Instant::now(), cpu_time());
                send.all(requests);
                let took = start.elapsed().as_nanos();
                provider.force_flush().expect("the processor does not fail");
                format!("{took} {}", cpu_time() - cpu)
            }
            "time" => {
                let took = requests.time(count, &mut send.fast);
                format!("{} 0", took.as_nanos())
            }
            "end" => {
                provider.shutdown().expect("the processor does not fail");
                format!("{sent} {}", spans.ended())
            }
            _ => unreachable!("unknown command"),
        }
    });
}

/// Runs a process under callgrind, which counts only inside [`measured`].
pub fn once(contestant: Contestant, count: u64, sent: Sent) {
    let spans = Spans::default();
    let provider = spans.counted();
    let requests = Requests::new(sent);
    let mut send = contestant.run(&provider, Loop(Requests::new(sent)));
    for _ in 0..count {
        measured(&mut send, requests.build(1));
    }
    let expected = if contestant == Contestant::Bare {
        0
    } else {
        count
    };
    assert_eq!(spans.ended(), expected, "a span for each request");
}

pub const MEASURED: &str = "peers_measured";

#[unsafe(export_name = "peers_measured")]
#[inline(never)]
fn measured(send: &mut Sender, requests: Vec<Request<Empty<Bytes>>>) {
    send.all(requests);
}

/// Describes the span of one request, as cells of the table.
fn describe_span(send: &mut Sender, spans: &Spans) -> String {
    let before = spans.ended();
    let (mut ends, mut body_at) = ("", SystemTime::UNIX_EPOCH);
    let span = spans.last_ended_during(|| {
        (send.slowly)(&mut |at| {
            if ends.is_empty() && spans.ended() > before {
                ends = at;
            }
            if at == "the head" {
                sleep(Duration::from_millis(20));
                body_at = SystemTime::now();
            }
        });
    });
    let Some(span) = span else {
        return ["–"; 6].join("\t");
    };
    let end_time = if span.end_time < body_at {
        "the head"
    } else {
        "the body"
    };
    let parent = if span.parent_span_id == SpanId::INVALID {
        "no"
    } else {
        "yes"
    };
    let kind = match span.span_kind {
        SpanKind::Server => "server",
        _ => "internal",
    };
    let (attributes, conventional) = (span.attributes.len(), conventional(&span));
    let attributes = format!("{attributes} ({conventional})");
    let events = span.events.len().to_string();
    [&attributes, &events, kind, parent, ends, end_time].join("\t")
}

/// Counts the non-empty attributes of the conventions for HTTP servers.
fn conventional(span: &SpanData) -> usize {
    let prefixes = [
        "http.",
        "url.",
        "network.",
        "server.",
        "client.",
        "user_agent.",
        "error.",
    ];
    let attributes = span.attributes.iter();
    attributes
        .filter(|attribute| {
            let key = attribute.key.as_str();
            prefixes.iter().any(|start| key.starts_with(start))
                && !attribute.value.as_str().is_empty()
        })
        .count()
}

/// Runs a contestant in a loop.
pub struct Loop(pub Requests);

/// Sends requests through a contestant: at full speed, or one request that reports its progress.
pub struct Sender {
    fast: Fast,
    slowly: Slowly,
    /// Clones the service for another thread.
    clone_fast: Box<dyn Fn() -> Fast>,
}

pub type Fast = Box<dyn FnMut(Request<Empty<Bytes>>) + Send>;

type Slowly = Box<dyn FnMut(&mut dyn FnMut(&'static str))>;

impl Sender {
    fn all(&mut self, requests: Vec<Request<Empty<Bytes>>>) {
        requests.into_iter().for_each(&mut self.fast);
    }

    /// Returns what sends a request on another thread, through a clone of the service.
    pub fn for_thread(&self) -> Fast {
        (self.clone_fast)()
    }
}

fn fast<S, B>(mut service: S) -> Fast
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible> + Send + 'static,
    B: Body<Data = Bytes> + 'static,
    B::Error: Debug,
{
    Box::new(move |request| {
        let served = async {
            let answer = service.call(request);
            let response = answer.await.expect("the service does not fail");
            let mut body = pin!(response.into_body());
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                let frame = frame.expect("the body does not fail");
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if body.is_end_stream() {
                    break;
                }
            }
            bytes
        };
        let bytes = served
            .now_or_never()
            .expect("the service and its body are always ready");
        assert_eq!(black_box(bytes), BODY.len());
    })
}

#[derive(Clone)]
pub struct Hello;

impl Service<Request<Empty<Bytes>>> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        drop(request);
        ready(Ok(Response::new(Full::new(Bytes::from_static(BODY)))))
    }
}

impl Harness<Empty<Bytes>> for Loop {
    type Body = Full<Bytes>;
    type Inner = Hello;
    type Out = Sender;

    fn inner(&self) -> Hello {
        Hello
    }

    fn run<S, B>(self, service: S) -> Sender
    where
        S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>> + Debug,
    {
        let mut slow = service.clone();
        let Self(requests) = self;
        Sender {
            fast: fast(service.clone()),
            clone_fast: Box::new(move || fast(service.clone())),
            slowly: Box::new(move |at| {
                let served = async {
                    let response = slow
                        .call(requests.request())
                        .await
                        .expect("the service does not fail");
                    at("the head");
                    let mut body = Box::pin(response.into_body());
                    body.frame()
                        .await
                        .expect("there is a frame")
                        .expect("the body does not fail");
                    at("the last frame");
                    drop(body);
                    at("the body's drop");
                };
                served
                    .now_or_never()
                    .expect("the service and its body are always ready");
            }),
        }
    }
}

/// The request that is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sent {
    Real,
    Small,
}

impl Sent {
    /// Returns the name on the command line of a child, and in tables.
    pub fn key(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Small => "small",
        }
    }

    pub fn from_key(key: &str) -> Self {
        if key == "real" {
            Self::Real
        } else {
            Self::Small
        }
    }
}

/// Builds requests.
pub enum Requests {
    Real(Box<RealRequest>),
    Small,
}

impl Requests {
    pub fn new(sent: Sent) -> Self {
        match sent {
            Sent::Real => Self::Real(Box::new(RealRequest::new())),
            Sent::Small => Self::Small,
        }
    }

    fn build(&self, count: u64) -> Vec<Request<Empty<Bytes>>> {
        (0..count).map(|_| self.request()).collect()
    }

    /// Sends requests, a few at a time. Returns the time without that of building them.
    pub fn time(&self, count: u64, send: &mut Fast) -> Duration {
        let mut took = Duration::ZERO;
        for _ in 0..count / FEW {
            let requests = self.build(FEW);
            let start = Instant::now();
            requests.into_iter().for_each(&mut *send);
            took += start.elapsed();
        }
        took
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        match self {
            Self::Real(real) => real.build(Empty::new()),
            Self::Small => small_request(),
        }
    }
}

fn small_request() -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::from_static("/v1/chat/completions");
    *request.headers_mut() = HeaderMap::from_iter([
        (header::CONTENT_LENGTH, HeaderValue::from_static("64")),
        (header::HOST, HeaderValue::from_static("example.com:8080")),
        (header::USER_AGENT, HeaderValue::from_static("curl/8.14.1")),
        (
            HeaderName::from_static("traceparent"),
            HeaderValue::from_static(TRACEPARENT),
        ),
    ]);
    request
}
