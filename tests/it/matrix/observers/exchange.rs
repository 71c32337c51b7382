//! The logs of one request, outside and inside.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use http::Request;
use opentelemetry::trace::{SpanId, TraceContextExt as _};

use super::event::{Event, Place, State};
use super::verdict::{Verdict, reach_verdict};
use crate::support::handle_of;
use crate::support::recorder::Recorder;

/// The part of an exchange that an event belongs to. Their bodies may be polled by different threads, so that events
/// of different parts have no order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    Request,
    Response,
}

/// An event, with its time since the call, and whether the span had ended when the observer logged it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub event: Event,
    pub after: Duration,
    pub has_span_ended: bool,
}

/// The logs of one request, by part and by place.
pub struct Exchange {
    recorder: Recorder,
    began: Instant,
    span: OnceLock<SpanId>,
    logs: [[Mutex<Vec<Entry>>; 2]; 2],
}

impl Exchange {
    pub fn new(recorder: &Recorder) -> Self {
        Self {
            recorder: recorder.clone(),
            began: Instant::now(),
            span: OnceLock::new(),
            logs: Default::default(),
        }
    }

    /// Reads the span's id from the request that the layer passes on.
    pub fn read_span<B>(&self, request: &Request<B>) {
        let context = handle_of(request).context();
        let id = context.span().span_context().span_id();
        self.span
            .set(id)
            .expect("the layer calls the service inside once");
    }

    pub fn span(&self) -> Option<SpanId> {
        self.span.get().copied()
    }

    pub fn record(&self, part: Part, place: Place, event: Event) {
        let entry = Entry {
            event,
            after: self.began.elapsed(),
            has_span_ended: self.span().is_some_and(|id| self.recorder.has_ended(id)),
        };
        let log = &self.logs[part as usize][place as usize];
        log.lock().expect("not poisoned").push(entry);
    }

    fn log(&self, part: Part, place: Place) -> Vec<Entry> {
        let log = &self.logs[part as usize][place as usize];
        log.lock().expect("not poisoned").clone()
    }

    /// Returns how often the server passed trailers of the request to the layer.
    pub fn request_trailers(&self) -> usize {
        let log = self.log(Part::Request, Place::Outside).into_iter();
        log.filter(|entry| matches!(entry.event, Event::Trailers(..)))
            .count()
    }

    /// Returns how the response ended, by the outer observer's log alone.
    pub fn verdict(&self) -> Verdict {
        reach_verdict(&self.log(Part::Response, Place::Outside))
    }

    /// Returns what the layer has changed, and whether the span ended at another event than the one that decided.
    pub fn faults(&self) -> Vec<String> {
        let log = self.log(Part::Response, Place::Outside);
        let false_ends = false_end_stream(&log);
        let at_other_event = self.end_at_other_event(&log);
        let changes = self.changes().into_iter();
        changes.chain(false_ends).chain(at_other_event).collect()
    }

    /// Returns the first event of each part that is not the same outside and inside.
    pub fn changes(&self) -> Vec<String> {
        let parts = [Part::Request, Part::Response].into_iter();
        let changes = parts.filter_map(|part| {
            let [outside, inside] =
                [Place::Outside, Place::Inside].map(|place| compared(self.log(part, place)));
            let differ = outside.iter().zip(&inside).position(|(a, b)| a != b);
            let is_same = outside == inside;
            let at = differ.unwrap_or(outside.len().min(inside.len()));
            (!is_same).then(|| {
                format!(
                    "{part:?}, event {at}: {:?} outside, and {:?} inside",
                    outside.get(at),
                    inside.get(at)
                )
            })
        });
        changes.collect()
    }

    /// Returns a text if the span ended before or after the event that decided.
    fn end_at_other_event(&self, log: &[Entry]) -> Option<String> {
        let ended = log.iter().position(|entry| entry.has_span_ended);
        let decided = self.verdict().decided_by;
        (ended != Some(decided))
            .then(|| format!("the span ended at event {ended:?}, not at {decided} of {log:?}"))
    }
}

/// Returns the events that both observers must log. Once a body has returned `None`, the layer does not poll it again,
/// but its reader may.
fn compared(log: Vec<Entry>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for Entry { event, .. } in log {
        let is_repeated_end = event == Event::End && events.last() == Some(&Event::End);
        if event.is_compared() && !is_repeated_end {
            events.push(event);
        }
    }
    events
}

/// Returns a text if the server got another `is_end_stream` than the body reported after its latest frame.
fn false_end_stream(log: &[Entry]) -> Option<String> {
    let mut reported = State::default();
    for Entry { event, .. } in log {
        match event {
            Event::Head(.., state) | Event::Data(_, state) | Event::Trailers(_, state) => {
                reported = *state;
            }
            Event::EndStream(value) if *value != reported.is_end_stream => {
                return Some(format!("is_end_stream is {value} in {log:?}"));
            }
            _ => {}
        }
    }
    None
}

/// The exchange of a request, in its extensions.
#[derive(Clone)]
pub struct ExchangeOf(pub Arc<Exchange>);
