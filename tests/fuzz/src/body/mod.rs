//! The body wrapper and what leads to it: a script is played with the layer and without, and compared
//! with the oracle and the bare service after each step.
//!
//! An input is a [`script::Script`], decoded by `arbitrary`.

mod parts;
mod reader;
mod request;
mod script;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use http_body::Body;
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::oracle::{Oracle, Polled};
use crate::recorder::{clear, counts, only, recorded};
use parts::{Boom, Handler, Scripted, ScriptedBody, ScriptedFuture};
use reader::{Data, Reader};
use script::{Act, Call, Inner, Script};

/// A layer of each preset, in the order of [`script::Preset`].
static LAYERS: LazyLock<[ApiSpanLayer; 4]> = LazyLock::new(|| {
    [
        ApiSpanLayer::new(),
        ApiSpanLayer::llm(),
        ApiSpanLayer::new().stream_terminator("[DONE]"),
        ApiSpanLayer::new().disconnect_is_error(false),
    ]
    .map(recorded)
});

/// Plays an input.
pub fn run(input: &[u8]) {
    if let Ok(script) = Script::arbitrary_take_rest(Unstructured::new(input)) {
        play(&Rc::new(script));
    }
}

/// A script being played, with the layer and without.
struct Play<'a, B> {
    script: &'a Script,
    oracle: Oracle,
    handler: Rc<Handler>,
    reader: Reader<B>,
    bare: Reader<ScriptedBody>,
    /// The future has returned and must not be polled again.
    is_future_done: bool,
    /// The body has returned `None`.
    is_exhausted: bool,
    polls: usize,
}

fn play(script: &Rc<Script>) {
    clear();
    let handler = Rc::new(Handler::default());
    let mut service = LAYERS[script.preset as usize].layer(Scripted {
        script: Rc::clone(script),
        handler: Rc::clone(&handler),
    });
    let mut oracle = script.oracle();
    let called = catch_unwind(AssertUnwindSafe(|| service.call(script.request())));
    let (reader, bare) = if let Ok(future) = called {
        let bare = ScriptedFuture::new(script, None);
        (Reader::future(future), Reader::future(bare))
    } else {
        assert!(matches!(script.service, Inner::PanicsInCall));
        oracle.polled(&Polled::Panic, None);
        (Reader::Gone, Reader::Gone)
    };
    let play = Play {
        script,
        oracle,
        handler,
        reader,
        bare,
        is_future_done: false,
        is_exhausted: false,
        polls: 0,
    };
    play.run();
}

impl<B> Play<'_, B>
where
    B: Body<Data = Data, Error = Boom> + Unpin,
{
    fn run(mut self) {
        self.check_counts(&"the call");
        for act in self.script.acts.iter().take(64).chain([&Act::Drop]) {
            self.act(act);
        }
        assert_eq!(
            self.handler.polls.get(),
            self.polls,
            "polls of the inner body"
        );
        // Calls after the end must have no effect.
        self.handler.call(Call::Abort(0));
        self.handler.call(Call::AddEvents(1));
        self.oracle.check(&only().0);
    }

    /// Checks that the span has ended if the oracle has.
    fn check_counts(&self, after: &dyn std::fmt::Debug) {
        let ended = usize::from(self.oracle.ended().is_some());
        assert_eq!(counts(), (1, ended), "starts and ends after {after:?}");
    }

    fn act(&mut self, act: &Act) {
        match act {
            _ if matches!(self.reader, Reader::Gone) => return,
            Act::Poll => self.poll(None),
            Act::PollToEnd => {
                for _ in 0..64 {
                    self.poll(None);
                    self.check_counts(act);
                }
            }
            Act::PollCalling(call) => self.poll(Some(*call)),
            Act::Ask => assert_eq!(self.reader.hints(), self.bare.hints(), "the body's hints"),
            Act::Call(call) => {
                self.handler.call(*call);
                call.report_to(&mut self.oracle);
            }
            Act::Drop => self.drop(false),
            Act::DropUnwinding => self.drop(true),
        }
        self.check_counts(act);
    }

    fn poll(&mut self, calling: Option<Call>) {
        let was_body = matches!(self.reader, Reader::Body(_));
        if self.is_future_done && !was_body {
            return;
        }
        if let Some(call) = calling.filter(|_| !self.is_exhausted) {
            self.handler.next.set(Some(call));
            call.report_to(&mut self.oracle);
        }
        let polled = self.reader.poll();
        if self.is_exhausted {
            assert_eq!(polled, Polled::EndOfBody, "a poll after None");
            return;
        }
        assert_eq!(polled, self.bare.poll(), "the poll of the bare service");
        let hints = self.bare.hints();
        assert_eq!(self.reader.hints(), hints, "the body's hints");
        if was_body {
            self.polls += 1;
            self.is_exhausted = polled == Polled::EndOfBody;
        } else {
            self.is_future_done = polled != Polled::Pending;
        }
        self.oracle.polled(&polled, hints);
    }

    fn drop(&mut self, is_unwinding: bool) {
        let has_destructor = matches!(self.reader, Reader::Body(_));
        if let Some(call) = self.script.destructor.filter(|_| has_destructor) {
            call.report_to(&mut self.oracle);
        }
        self.reader.drop(is_unwinding);
        self.oracle.dropped(is_unwinding);
    }
}
