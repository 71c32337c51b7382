//! The scenarios: a response, the moment at which the client acts, and the expected outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::Response;
use tokio::sync::Notify;

use super::disconnects::Action;
use super::disconnects::Moment::{self, AfterBytes, BeforeHead, Blocked, Complete};
use super::handler::Handler;
use super::servers::Family;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Pending, Silent};

/// A response, the moment at which the client acts, and the expected outcome.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    reply: Reply,
    pub moment: Moment,
    /// The only action to run; `None` runs all.
    pub only: Option<Action>,
    pub outcome: &'static str,
}

#[derive(Clone, Copy)]
enum Reply {
    /// Never responds.
    Never,
    /// Responds after [`Progress::resume`].
    OnResume,
    /// A body that stays pending after some bytes.
    Silent,
    /// A body without end.
    Endless,
    /// A body with a Content-Length that stays pending after the last byte.
    CompleteThenSilent,
    Full(usize),
    /// More than all buffers between handler and client hold, in many frames.
    Large,
}

pub const FRAME: usize = 64 << 10;
pub const FRAMES: usize = 128;

const DISCONNECT: &str = "ABORTED(client_disconnect)";
const DEPARTED: &str = "DEPARTED";

impl Scenario {
    #[rustfmt::skip]
    pub fn all(family: Family) -> Vec<Self> {
        let scenario = |name, reply, moment, outcome| {
            Self { name, reply, moment, only: None, outcome }
        };
        let only = |action, scenario: Self| Self { only: Some(action), ..scenario };
        let mut all = vec![
            scenario("before the head",                  Reply::Never,      BeforeHead,        DISCONNECT),
            scenario("midway, silent body",              Reply::Silent,     AfterBytes(5),     DISCONNECT),
            scenario("midway, busy body",                Reply::Endless,    AfterBytes(FRAME), DISCONNECT),
            scenario("after the last byte",              Reply::Full(15),   Complete,          DEPARTED),
            scenario("after the last byte of a stream",  Reply::Large,      Complete,          DEPARTED),
            scenario("8 MiB in frames, none read",       Reply::Large,      Blocked,           DISCONNECT),
            scenario("8 MiB in one frame, none read",    Reply::Full(FRAMES * FRAME), Blocked, DEPARTED),
            only(Action::KeepReading,
                scenario("8 MiB in frames, read late",   Reply::Large,      Blocked,           DEPARTED)),
        ];
        match family {
            Family::Http1 => all.push(only(Action::Fin,
                scenario("before the head, request unread", Reply::OnResume, BeforeHead,       DEPARTED))),
            Family::Http2 => all.push(only(Action::RstStream,
                scenario("after the Content-Length", Reply::CompleteThenSilent, AfterBytes(5), DEPARTED))),
        }
        all
    }

    /// Whether the request declares a body, which the client never sends.
    pub fn has_request_body(&self) -> bool {
        matches!(self.reply, Reply::OnResume)
    }

    pub fn handling(&self) -> Handling {
        let progress = Arc::new(Progress::default());
        let (reply, shared) = (self.reply, Arc::clone(&progress));
        let handler = Handler::new(move |request: http::Request<Body>| {
            let progress = Arc::clone(&shared);
            async move {
                progress.called.notify_one();
                let response = respond(reply, progress).await;
                // Keeps the request body alive and unread until the response is ready.
                drop(request);
                response
            }
        });
        Handling { handler, progress }
    }
}

/// A handler and its progress.
pub struct Handling {
    pub handler: Handler,
    pub progress: Arc<Progress>,
}

#[derive(Default)]
pub struct Progress {
    /// The handler has been called.
    pub called: Notify,
    /// The handler may respond.
    pub resume: Notify,
    frames: AtomicUsize,
}

impl Progress {
    /// Waits until the server polls no more frames. Returns whether frames are left.
    pub async fn is_blocked(&self) -> bool {
        let mut before = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let frames = self.frames.load(Ordering::SeqCst);
            if frames > 0 && frames == before {
                return frames < FRAMES;
            }
            before = frames;
        }
    }
}

async fn respond(reply: Reply, progress: Arc<Progress>) -> Response<Body> {
    let scripted = |steps: Vec<Step>| Response::new(Body::new(ScriptedBody::new(steps)));
    let full = |bytes| Response::new(Body::from(Bytes::from(vec![b'x'; bytes])));
    match reply {
        Reply::Never => std::future::pending().await,
        Reply::OnResume => {
            progress.resume.notified().await;
            full(15)
        }
        Reply::Silent => scripted(vec![Data(5), Pending, Silent]),
        Reply::CompleteThenSilent => {
            let mut response = scripted(vec![Data(5), Pending, Silent]);
            let length = http::HeaderValue::from_static("5");
            response.headers_mut().insert("content-length", length);
            response
        }
        Reply::Full(bytes) => {
            // All bytes are in one frame.
            progress.frames.store(1, Ordering::SeqCst);
            full(bytes)
        }
        Reply::Endless => Response::new(frames(usize::MAX, progress)),
        Reply::Large => Response::new(frames(FRAMES, progress)),
    }
}

fn frames(count: usize, progress: Arc<Progress>) -> Body {
    let frame = Bytes::from(vec![b'x'; FRAME]);
    let frames = stream::iter(0..count).map(move |_| {
        progress.frames.fetch_add(1, Ordering::SeqCst);
        Ok::<_, std::io::Error>(frame.clone())
    });
    Body::from_stream(frames)
}
