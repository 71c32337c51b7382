//! The response, whole or as a stream.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::Value;
use tokio::time::sleep;
use tower_api_span::SpanHandle;

use crate::engine::{Job, Step, Stop};
use crate::error::ApiError;
use crate::format::{Answer, Format};
use crate::request::LlmRequest;

/// How long the server has to send what it has, before a body ends early.
const TIME_TO_SEND: Duration = Duration::from_millis(50);

/// A response in progress.
pub(crate) struct Reply {
    format: Box<dyn Format>,
    answer: Answer,
    is_slow_to_start: bool,
    linger_time: Duration,
    steps: BoxStream<'static, Result<Step, Stop>>,
    /// Events that are not yet sent.
    events: VecDeque<Event>,
    phase: Phase,
    usage: UnsentUsage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Begin,
    Tokens,
    /// All events are made.
    Sent,
    /// The connection breaks.
    Broken,
    End,
}

impl Reply {
    /// Starts the engine.
    pub(crate) fn start(request: &LlmRequest, job: Job, span: SpanHandle) -> Self {
        span.handoff_to_core();
        Self {
            format: request.endpoint.format(),
            answer: Answer::new(request, job.number),
            is_slow_to_start: job.is_slow_to_start(),
            linger_time: job.linger_time(),
            // The handle's context makes the engine's span a child of the request's span, on any thread.
            steps: job.start(&span.context()).boxed(),
            events: VecDeque::new(),
            phase: Phase::Begin,
            usage: UnsentUsage {
                span,
                input_tokens: request.input_tokens,
                output_tokens: 0,
                is_sent: false,
            },
        }
    }

    /// Returns the whole response.
    ///
    /// # Errors
    ///
    /// If the engine fails.
    pub(crate) async fn whole(mut self) -> Result<Response, ApiError> {
        while let Some(step) = self.steps.next().await {
            match step {
                Ok(step) => {
                    self.answer.take_in(step);
                    self.usage.output_tokens = self.answer.output_tokens;
                }
                Err(Stop::Failed(message)) => return self.failed(&message),
                Err(Stop::Truncated | Stop::Broken) => {
                    return Ok(cut(&self.format.whole(&self.answer)));
                }
            }
        }
        self.usage.is_sent = true;
        Ok(Json(self.format.whole(&self.answer)).into_response())
    }

    fn failed(self, message: &str) -> Result<Response, ApiError> {
        if let Some(answer) = self.format.whole_failure(&self.answer, message) {
            return Ok(Json(answer).into_response());
        }
        // The status 500 alone would be recorded as the less specific `exception`.
        self.usage.span.mark_aborted("generation_error", message);
        Err(ApiError::engine(message))
    }

    /// Returns the response as an event stream.
    pub(crate) fn stream(self) -> Response {
        let events = stream::unfold(self, |mut reply| async {
            let event = reply.next_event().await?;
            Some((event, reply))
        });
        Sse::new(events).into_response()
    }

    async fn next_event(&mut self) -> Option<io::Result<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                if self.events.is_empty() && self.phase == Phase::Sent {
                    // The last event ends the span. What is recorded later is lost.
                    self.usage.record();
                }
                return Some(Ok(event));
            }
            match self.phase {
                Phase::Begin => {
                    if self.is_slow_to_start {
                        self.events.push_back(self.format.keep_alive());
                    }
                    self.events.extend(self.format.begin(&self.answer));
                    self.phase = Phase::Tokens;
                }
                Phase::Tokens => self.step().await,
                Phase::Broken => {
                    self.phase = Phase::End;
                    return Some(Err(io::Error::other("the engine broke the connection")));
                }
                Phase::Sent => {
                    sleep(self.linger_time).await;
                    self.phase = Phase::End;
                }
                Phase::End => return None,
            }
        }
    }

    /// Takes the next step of the engine, and adds its events.
    async fn step(&mut self) {
        let step = self.steps.next().await;
        let (format, answer) = (&mut self.format, &mut self.answer);
        match step {
            Some(Ok(step)) => {
                answer.take_in(step);
                self.usage.output_tokens = answer.output_tokens;
                self.events.extend(match step {
                    Step::Token { choice, piece } => format.token(answer, choice, piece),
                    Step::Finished { choice, .. } => format.finished(answer, choice),
                });
            }
            None => {
                self.events.extend(format.end(answer));
                self.usage.is_sent = answer.include_usage;
                self.phase = Phase::Sent;
            }
            Some(Err(Stop::Failed(message))) => {
                // The status 200 is already sent. The layer reads the failure from the events.
                self.events.extend(format.failure(answer, &message));
                self.phase = Phase::Sent;
            }
            Some(Err(Stop::Truncated)) => self.phase = Phase::End,
            Some(Err(Stop::Broken)) => self.phase = Phase::Broken,
        }
    }
}

/// Returns a response whose body ends before its `Content-Length`.
fn cut(answer: &Value) -> Response {
    let text = answer.to_string();
    let length = text.len();
    let half = Bytes::from(text).slice(..length / 2);
    let body = stream::unfold(Some(half), async |half| {
        if half.is_none() {
            // A server that ends the body at once does not send the half.
            sleep(TIME_TO_SEND).await;
        }
        half.map(|half| (io::Result::Ok(half), None))
    });
    let head = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CONTENT_LENGTH, length.to_string()),
    ];
    (head, Body::from_stream(body)).into_response()
}

/// Records the numbers of tokens that the response does not carry, such as those of a stream that the client left:
/// the layer cannot read them. They are recorded before the last event, or when this is dropped.
struct UnsentUsage {
    span: SpanHandle,
    input_tokens: usize,
    output_tokens: usize,
    is_sent: bool,
}

impl UnsentUsage {
    fn record(&mut self) {
        if !mem::replace(&mut self.is_sent, true) {
            let tokens = |tokens| u32::try_from(tokens).unwrap_or(u32::MAX);
            self.span
                .gen_ai()
                .input_tokens(tokens(self.input_tokens))
                .output_tokens(tokens(self.output_tokens));
        }
    }
}

impl Drop for UnsentUsage {
    fn drop(&mut self) {
        self.record();
    }
}
