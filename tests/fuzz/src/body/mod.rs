//! The body wrapper, and all that leads to it: a script against the model, and against the bare service,
//! step by step.
//!
//! An input is a script ([`script::Script`]), by `arbitrary`.

mod model;
mod parts;
mod reader;
mod script;
mod streams;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use http_body::Body;
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::recorder::{Seen, counts, forget, only, recorded};
use crate::sse::json::Message;
use model::{Ended, Model, Saw};
use parts::{BY_HANDLER, Boom, Handler, Scripted, ScriptedBody, ScriptedFuture};
use reader::{Data, Reader};
use script::{Act, Call, Inner, Preset, Script};

/// A layer of each preset, in their order.
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
    model: Model<'a>,
    handler: Rc<Handler>,
    reader: Reader<B>,
    bare: Reader<ScriptedBody>,
    /// The future has given something, and may not be polled again.
    is_done: bool,
    /// The body has given `None`.
    is_exhausted: bool,
    polls: usize,
}

fn play(script: &Rc<Script>) {
    forget();
    let handler = Rc::new(Handler::default());
    let mut service = LAYERS[script.preset as usize].layer(Scripted {
        script: Rc::clone(script),
        handler: Rc::clone(&handler),
    });
    let mut model = Model::new(script);
    let called = catch_unwind(AssertUnwindSafe(|| service.call(script.request())));
    let (reader, bare) = if let Ok(future) = called {
        let bare = ScriptedFuture::new(script, None);
        (Reader::future(future), Reader::future(bare))
    } else {
        assert!(matches!(script.service, Inner::PanicsInCall));
        model.polled_future(&Saw::Panic, None);
        (Reader::Gone, Reader::Gone)
    };
    let play = Play {
        script,
        model,
        handler,
        reader,
        bare,
        is_done: false,
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
        self.count(&"the call");
        for act in self.script.acts.iter().take(64).chain([&Act::Drop]) {
            self.act(act);
        }
        assert_eq!(
            self.handler.polls.get(),
            self.polls,
            "polls of the inner body"
        );
        // Whatever is said after the end is not heard.
        self.handler.say(Call::Abort(0));
        self.handler.say(Call::AddEvents(1));
        let ended = self.model.ended().expect("the model has ended");
        check(&only(), ended, self.script);
    }

    /// The span has ended when and where the model has.
    fn count(&self, after: &dyn std::fmt::Debug) {
        let ended = usize::from(self.model.ended().is_some());
        assert_eq!(counts(), (1, ended), "starts and ends after {after:?}");
    }

    fn act(&mut self, act: &Act) {
        match act {
            _ if matches!(self.reader, Reader::Gone) => return,
            Act::Poll => self.poll(None),
            Act::PollToEnd => {
                for _ in 0..64 {
                    self.poll(None);
                    self.count(act);
                }
            }
            Act::PollSaying(call) => self.poll(Some(*call)),
            Act::Ask => assert_eq!(self.reader.ask(), self.bare.ask(), "what the body says"),
            Act::Say(call) => {
                self.handler.say(*call);
                self.model.say(*call);
            }
            Act::Drop => self.drop(false),
            Act::DropUnwinding => self.drop(true),
        }
        self.count(act);
    }

    fn poll(&mut self, saying: Option<Call>) {
        let was_body = matches!(self.reader, Reader::Body(_));
        if self.is_done && !was_body {
            return;
        }
        if let Some(call) = saying.filter(|_| !self.is_exhausted) {
            self.handler.next.set(Some(call));
            self.model.say(call);
        }
        let (saw, head) = self.reader.poll();
        if self.is_exhausted {
            assert_eq!(saw, Saw::None, "after None comes None");
            return;
        }
        let (bare_saw, bare_head) = self.bare.poll();
        assert_eq!(saw, bare_saw, "what the bare service gives");
        assert_eq!(head, bare_head, "the head of the bare service");
        let asked = self.bare.ask();
        assert_eq!(self.reader.ask(), asked, "what the body says");
        let says_end = asked.map(|(is_at_end, ..)| is_at_end);
        if was_body {
            self.polls += 1;
            self.is_exhausted = saw == Saw::None;
            self.model.polled_body(&saw, says_end);
        } else {
            self.is_done = saw != Saw::Pending;
            self.model.polled_future(&saw, says_end);
        }
    }

    fn drop(&mut self, is_unwinding: bool) {
        let has_destructor = matches!(self.reader, Reader::Body(_));
        if let Some(call) = self.script.destructor.filter(|_| has_destructor) {
            self.model.say(call);
        }
        self.reader.drop(is_unwinding);
        self.model.dropped(is_unwinding);
    }
}

fn check(span: &Seen, ended: &Ended, script: &Script) {
    assert_eq!(span.outcome(), ended.outcome);
    let attribute = |key| span.attribute(key);
    assert_eq!(attribute("error.type"), ended.error_type, "error.type");
    if let Message::Is(error) = &ended.error {
        assert_eq!(span.error(), *error, "the message");
    }
    assert_eq!(attribute("rpc.status_code").as_deref(), ended.rpc_code);
    let status = ended.status.map(|status| status.to_string());
    assert_eq!(attribute("http.response.status_code"), status);
    for (key, is_there) in [
        ("api.time_to_head", ended.has_head),
        ("api.time_to_first_byte", ended.has_first_byte),
        ("gen_ai.response.time_to_first_chunk", ended.has_first_chunk),
    ] {
        assert_eq!(attribute(key).is_some(), is_there, "{key}");
    }
    assert_eq!(span.events(), ended.events);
    let dropped = (ended.dropped_events > 0).then(|| ended.dropped_events.to_string());
    assert_eq!(attribute("api.dropped_events"), dropped);
    for key in ["test.mine", "test.mine.too"] {
        let is_set = ended.attributes.contains(&key);
        assert_eq!(attribute(key).is_some(), is_set, "{key}");
    }
    if !script.is_grpc() {
        check_http(span, ended, script);
    }
}

/// Path, route and name of a request of HTTP.
fn check_http(span: &Seen, ended: &Ended, script: &Script) {
    let path = span.attribute("url.path");
    assert_eq!(path.as_deref(), Some("/pkg.Service/Method"));
    // A handler may also say it by key.
    let is_by_key = ended.attributes.contains(&"http.route");
    let route = if ended.route {
        Some("/late/{route}")
    } else {
        is_by_key.then_some(BY_HANDLER)
    };
    assert_eq!(span.attribute("http.route").as_deref(), route);
    let name = match script.preset {
        Preset::Llm => "llm_request".to_owned(),
        _ if ended.route => format!("{} /late/{{route}}", script.method()),
        Preset::Http | Preset::Terminated | Preset::Tolerant => script.method().to_owned(),
    };
    assert_eq!(span.0.name, name);
}
