//! What the server is doing when a client leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::Response;
use tokio::sync::Notify;

use super::handler::Handler;
use super::leavings::Way;
use super::leavings::When::{self, AfterBytes, AtTheEnd, BeforeTheHead, Stuck};
use super::servers::Family;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Pending, Silent};

/// A handler, the moment at which its client leaves, and what that comes to.
#[derive(Clone, Copy)]
pub struct Scene {
    pub name: &'static str,
    answer: Answer,
    pub when: When,
    /// The only way to leave in this scene; `None` for all.
    pub only: Option<Way>,
    pub outcome: &'static str,
}

#[derive(Clone, Copy)]
pub enum Answer {
    /// None, ever.
    Never,
    /// None before it is told to.
    WhenTold,
    /// A body that falls silent after some bytes.
    Silent,
    /// A body that goes on for ever.
    Endless,
    /// A body with a Content-Length that falls silent after the last byte.
    AllThenSilent,
    Full(usize),
    /// More than all buffers on the way hold, in many frames.
    Large,
}

pub const FRAME: usize = 64 << 10;
pub const FRAMES: usize = 128;

const LEFT: &str = "ABORTED(client_disconnect)";
const DEPARTED: &str = "DEPARTED";

impl Scene {
    #[rustfmt::skip]
    pub fn all(family: Family) -> Vec<Self> {
        let scene = |name, answer, when, outcome| {
            Self { name, answer, when, only: None, outcome }
        };
        let only = |way, scene: Self| Self { only: Some(way), ..scene };
        let mut all = vec![
            scene("before the head",     Answer::Never,      BeforeTheHead,   LEFT),
            scene("midway, silent body", Answer::Silent,     AfterBytes(5),   LEFT),
            scene("midway, busy body",   Answer::Endless,    AfterBytes(FRAME), LEFT),
            scene("after the last byte", Answer::Full(15),   AtTheEnd,        DEPARTED),
            scene("after the last byte of a stream", Answer::Large, AtTheEnd, DEPARTED),
            scene("8 MiB in frames, nothing read",   Answer::Large, Stuck,    LEFT),
            scene("8 MiB in one frame, nothing read", Answer::Full(FRAMES * FRAME), Stuck, DEPARTED),
            only(Way::Stays, scene("8 MiB in frames, read late", Answer::Large, Stuck, DEPARTED)),
        ];
        match family {
            Family::Http1 => all.push(only(Way::Fin,
                scene("before the head, request unread", Answer::WhenTold, BeforeTheHead, DEPARTED))),
            Family::Http2 => all.push(only(Way::RstStream,
                scene("Content-Length read, then", Answer::AllThenSilent, AfterBytes(5), DEPARTED))),
        }
        all
    }

    /// Whether the request says that it has a body, which never comes.
    pub fn has_request_body(&self) -> bool {
        matches!(self.answer, Answer::WhenTold)
    }

    pub fn handling(&self) -> Handling {
        let progress = Arc::new(Progress::default());
        let (answer, inside) = (self.answer, Arc::clone(&progress));
        let handler = Handler::new(move |request: http::Request<Body>| {
            let progress = Arc::clone(&inside);
            async move {
                progress.called.notify_one();
                let response = respond(answer, progress).await;
                // Kept until here, so that it stays unread and is not given up.
                drop(request);
                response
            }
        });
        Handling { handler, progress }
    }
}

/// A handler, and how far it is.
pub struct Handling {
    pub handler: Handler,
    pub progress: Arc<Progress>,
}

#[derive(Default)]
pub struct Progress {
    pub called: Notify,
    pub told: Notify,
    frames: AtomicUsize,
}

impl Progress {
    /// Waits until the server takes no more frames, for now. True if it has not taken all.
    pub async fn stands_still(&self) -> bool {
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

async fn respond(answer: Answer, progress: Arc<Progress>) -> Response<Body> {
    let scripted = |steps: Vec<Step>| Response::new(Body::new(ScriptedBody::new(steps)));
    let full = |bytes| Response::new(Body::from(Bytes::from(vec![b'x'; bytes])));
    match answer {
        Answer::Never => std::future::pending().await,
        Answer::WhenTold => {
            progress.told.notified().await;
            full(15)
        }
        Answer::Silent => scripted(vec![Data(5), Pending, Silent]),
        Answer::AllThenSilent => {
            let mut response = scripted(vec![Data(5), Pending, Silent]);
            let length = http::HeaderValue::from_static("5");
            response.headers_mut().insert("content-length", length);
            response
        }
        Answer::Full(bytes) => {
            // All of them in one.
            progress.frames.store(1, Ordering::SeqCst);
            full(bytes)
        }
        Answer::Endless => Response::new(frames(usize::MAX, progress)),
        Answer::Large => Response::new(frames(FRAMES, progress)),
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
