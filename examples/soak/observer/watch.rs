//! The state of an observer for one response, and its verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;

use super::RequestNumber;
use crate::verdicts::{Place, Verdict, Verdicts};

/// What is known of a response. It reports its verdict when it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    request: u64,
    place: Place,
    verdicts: Verdicts,
    /// Whether the body of the request has returned an error.
    pub(super) is_cut: Arc<AtomicBool>,
    is_head: bool,
    /// Whether inner code is being polled: if it remains true, that has panicked.
    pub(super) is_running: bool,
    /// Whether the head came after the request was cut off.
    is_late: bool,
    /// The end of the body, or an error.
    pub(super) end: Option<Result<(), ()>>,
    head: Option<Head>,
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    status: StatusCode,
    is_grpc: bool,
    grpc_status: Option<u8>,
    declared: Option<u64>,
}

impl Watch {
    pub(super) fn begin<B>(
        request: &Request<B>,
        number: RequestNumber,
        place: Place,
        verdicts: Verdicts,
    ) -> Self {
        Self {
            request: number.0,
            place,
            verdicts,
            is_cut: Arc::default(),
            is_head: request.method() == Method::HEAD,
            // Until the call returns.
            is_running: true,
            is_late: false,
            end: None,
            head: None,
            bytes: 0,
        }
    }

    /// Receives the head of the response.
    pub(super) fn receive<R: Body>(&mut self, response: &Response<R>) {
        self.is_late = self.is_cut.load(Ordering::SeqCst);
        let headers = response.headers();
        let length = headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let kind = headers.get(CONTENT_TYPE);
        let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let declared = length.or(response.body().size_hint().exact());
        self.head = Some(Head {
            status: response.status(),
            is_grpc,
            grpc_status: grpc_status(headers),
            declared: declared.filter(|_| !is_grpc),
        });
        let is_bodyless = matches!(response.status().as_u16(), 204 | 304) || self.is_head;
        if is_bodyless {
            self.bytes = declared.unwrap_or_default();
        }
        if is_bodyless || response.body().is_end_stream() {
            self.end = Some(Ok(()));
        }
    }

    pub(super) fn receive_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(head) = &mut self.head {
            head.grpc_status = grpc_status(trailers).or(head.grpc_status);
        }
        self.end = self.end.or(Some(Ok(())));
    }

    fn verdict(&self) -> Verdict {
        if self.is_running {
            return Verdict::Panicked;
        }
        let declared = self.head.and_then(|head| head.declared);
        let is_whole = declared == Some(self.bytes);
        if self.is_late || self.is_cut.load(Ordering::SeqCst) && !is_whole {
            return Verdict::Left;
        }
        match (self.end, self.head) {
            (Some(Err(())), _) => Verdict::Failed,
            (Some(Ok(())), Some(_)) if declared.is_some() && !is_whole => Verdict::WrongLength,
            (Some(Ok(())), Some(head)) => head.verdict(),
            (None, Some(head)) if is_whole => head.verdict(),
            (None, _) | (Some(Ok(())), None) => Verdict::Left,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.verdicts
            .observe(self.request, self.place, self.verdict());
    }
}

impl Head {
    /// Returns the verdict on a whole response.
    fn verdict(self) -> Verdict {
        if !self.is_grpc {
            return match self.status.as_u16() {
                0..400 => Verdict::Complete,
                400..500 => Verdict::ClientError,
                _ => Verdict::ServerError,
            };
        }
        match self.grpc_status {
            Some(0) => Verdict::Complete,
            // CANCELLED.
            Some(1) => Verdict::Left,
            // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
            Some(2 | 4 | 12..=15) | None => Verdict::ServerError,
            Some(_) => Verdict::ClientError,
        }
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<u8> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
