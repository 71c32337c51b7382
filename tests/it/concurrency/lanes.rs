//! Requests that are served, and spoken to meanwhile.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;

use http::{Request, Response};
use tower::{Service, service_fn};
use tower_api_span::{ApiSpanLayer, CountRequestBodyLayer, CountedBody};
use tower_layer::Layer as _;

use super::paths::{Last, PATHS};
use super::reckoning::{Books, Came};
use super::said::{self, Dice, Verdicts};
use super::speakers::{FRAME, speak};
use super::{LANES, ROUND, SPEAKERS};
use crate::support::body::{Boom, ScriptedBody, Step};
use crate::support::handle_of;

/// As many requests as are looked over at once.
pub struct Round {
    layer: ApiSpanLayer,
    books: Books,
}

/// The request that a lane is at.
#[derive(Default)]
struct Lane {
    current: RwLock<Option<Arc<said::Request>>>,
    is_over: AtomicBool,
}

impl Lane {
    fn current(&self) -> Option<Arc<said::Request>> {
        self.current.read().expect("not poisoned").clone()
    }
}

/// Tells the speakers that their lane has come to its end, or has failed.
struct Over<'a>(&'a Lane);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

/// What the handler is to do with a request.
#[derive(Clone)]
struct Asked {
    path: usize,
    verdicts: Verdicts,
    /// Nobody speaks to it elsewhere.
    lane: Option<Arc<Lane>>,
    /// How much is to be said to it before the handler goes on.
    words: usize,
}

impl Asked {
    fn request(self) -> Request<ScriptedBody> {
        let mut request = Request::post("/pkg.Service/Method");
        if PATHS[self.path].is_call {
            request = request.header("content-type", "application/grpc");
        }
        let request = request.extension(self);
        let body = ScriptedBody::new([Step::Forever(FRAME)]);
        request.body(body).expect("a request")
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<ScriptedBody>, Boom>> + Send>>;

/// The handler.
fn answer(request: Request<CountedBody<ScriptedBody>>) -> Answer {
    let handle = handle_of(&request);
    let asked = request.extensions().get::<Asked>().expect("it is asked");
    let Asked {
        path,
        verdicts,
        lane,
        words,
    } = asked.clone();
    if let Some(lane) = lane {
        if verdicts == Verdicts::Before {
            handle.abort("before", "said at once");
        }
        let request = said::Request::new(handle, path, verdicts, request.into_body());
        let request = Arc::new(request);
        *lane.current.write().expect("not poisoned") = Some(Arc::clone(&request));
        request.listen(words);
        if PATHS[path].last == Last::Call {
            request.ends_now();
        }
    }
    PATHS[path].answer()
}

impl Round {
    pub fn new(layer: ApiSpanLayer) -> Self {
        let books = Books::new();
        Self {
            layer: books.on(layer),
            books,
        }
    }

    /// Serves requests in all lanes, and holds what was said against all that tells of it. Returns what
    /// has come of each.
    pub fn run(&self, seed: usize) -> Vec<Came> {
        let inner = CountRequestBodyLayer::new().layer(service_fn(answer));
        let service = self.layer.layer(inner.clone());
        let saw = PATHS.iter().enumerate().map(|(path, one)| {
            let asked = Asked {
                path,
                verdicts: Verdicts::Nobody,
                lane: None,
                words: 0,
            };
            one.go(|| inner.clone().call(asked.request()), false, |_| {})
        });
        let bare: Vec<_> = saw.collect();
        let served = thread::scope(|scope| {
            let lanes: [_; LANES] = std::array::from_fn(|lane| {
                let (at, mut service, bare) = (Arc::<Lane>::default(), service.clone(), &bare);
                let dice = |who| Dice((seed * 1_000 + lane * 10 + who) as u64);
                for speaker in 0..SPEAKERS {
                    let (at, dice) = (Arc::clone(&at), dice(speaker));
                    scope.spawn(move || talk(&at, speaker, dice));
                }
                let dice = dice(SPEAKERS);
                scope.spawn(move || serve(&at, dice, bare, |asked| service.call(asked.request())))
            });
            lanes.map(|lane| lane.join().expect("all is as it should be"))
        });
        self.books.reckon(&served.concat())
    }
}

/// Serves requests one after the other.
fn serve<F, B>(
    lane: &Arc<Lane>,
    mut dice: Dice,
    bare: &[Vec<String>],
    mut call: impl FnMut(Asked) -> F,
) -> Vec<Arc<said::Request>>
where
    F: Future<Output = Result<Response<B>, Boom>> + Send,
    B: http_body::Body<Data = bytes::Bytes, Error = Boom> + Unpin + Send,
{
    let _over = Over(lane);
    let mut served = Vec::new();
    for number in 0..ROUND / LANES {
        let path = number % PATHS.len();
        let asked = Asked {
            path,
            verdicts: Verdicts::ALL[dice.below(Verdicts::ALL.len())],
            lane: Some(Arc::clone(lane)),
            words: dice.below(12),
        };
        let (words, is_elsewhere) = (dice.below(12), dice.below(6) == 0);
        let saw = PATHS[path].go(
            || call(asked),
            is_elsewhere,
            |last| {
                let request = lane.current().expect("it was called");
                request.listen(words);
                if last == PATHS[path].last {
                    request.ends_now();
                }
            },
        );
        let request = lane.current().expect("it was called");
        request.has_ended();
        if request.verdicts == Verdicts::After {
            request.handle.abort("after", "said when it was over");
        }
        request.listen(dice.below(4));
        assert_eq!(saw, bare[path], "{}", PATHS[path].name);
        served.push(request);
    }
    served
}

/// Speaks to what a lane is at, until that is over.
fn talk(lane: &Lane, speaker: usize, mut dice: Dice) {
    while !lane.is_over.load(Ordering::SeqCst) {
        let Some(request) = lane.current() else {
            thread::yield_now();
            continue;
        };
        for _ in 0..dice.below(12) {
            speak(&request, speaker, &mut dice);
        }
        thread::yield_now();
    }
}
