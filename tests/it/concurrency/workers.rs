//! Workers that serve requests, and tasks that make calls on them meanwhile.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;

use http::{Request, Response};
use tower::{Service, service_fn};
use tower_api_span::{ApiSpanLayer, RequestBody, RequestBodyLayer};
use tower_layer::Layer as _;

use super::calls::{self, FRAME};
use super::paths::{PATHS, Step};
use super::recorders::{Checked, Recorders};
use super::request::{self, Random, Verdicts};
use super::{ROUND, TASKS, WORKERS};
use crate::support::body::{Boom, ScriptedBody, Step as BodyStep};
use crate::support::handle_of;

/// The requests that are checked together.
pub struct Round {
    layer: ApiSpanLayer,
    recorders: Recorders,
}

/// A worker and the request that it serves.
#[derive(Default)]
struct Worker {
    current: RwLock<Option<Arc<request::Request>>>,
    is_done: AtomicBool,
}

impl Worker {
    fn current(&self) -> Option<Arc<request::Request>> {
        self.current.read().expect("not poisoned").clone()
    }
}

/// Stops the tasks when the worker returns or panics.
struct StopOnDrop<'a>(&'a Worker);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.is_done.store(true, Ordering::SeqCst);
    }
}

/// What the handler does with a request.
#[derive(Clone)]
struct Plan {
    path: usize,
    verdicts: Verdicts,
    /// The worker whose tasks make calls; `None` without tasks.
    worker: Option<Arc<Worker>>,
    /// How many calls the handler waits for.
    calls: usize,
}

impl Plan {
    fn request(self) -> Request<ScriptedBody> {
        let mut request = Request::post("/pkg.Service/Method");
        if PATHS[self.path].is_grpc {
            request = request.header("content-type", "application/grpc");
        }
        let request = request.extension(self);
        let body = ScriptedBody::new([BodyStep::Forever(FRAME)]);
        request.body(body).expect("a request")
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<ScriptedBody>, Boom>> + Send>>;

/// The handler.
fn respond(request: Request<RequestBody<ScriptedBody>>) -> Answer {
    let handle = handle_of(&request);
    let plan = request.extensions().get::<Plan>().expect("a plan");
    let Plan {
        path,
        verdicts,
        worker,
        calls,
    } = plan.clone();
    if let Some(worker) = worker {
        if verdicts == Verdicts::Before {
            handle.mark_aborted("before", "by the handler");
        }
        let request = request::Request::new(handle, path, verdicts, request.into_body());
        let request = Arc::new(request);
        *worker.current.write().expect("not poisoned") = Some(Arc::clone(&request));
        request.wait_for_calls(calls);
        if PATHS[path].last == Step::Call {
            request.mark_ending();
        }
    }
    PATHS[path].respond()
}

impl Round {
    pub fn new(layer: ApiSpanLayer) -> Self {
        let recorders = Recorders::new();
        Self {
            layer: recorders.attach(layer),
            recorders,
        }
    }

    /// Serves requests by all workers, and compares the calls on them with all signals.
    pub fn run(&self, seed: usize) -> Vec<Checked> {
        let inner = RequestBodyLayer::new().layer(service_fn(respond));
        let service = self.layer.layer(inner.clone());
        let observed = PATHS.iter().enumerate().map(|(path, one)| {
            let plan = Plan {
                path,
                verdicts: Verdicts::Never,
                worker: None,
                calls: 0,
            };
            one.run(|| inner.clone().call(plan.request()), false, |_| {})
        });
        let bare: Vec<_> = observed.collect();
        let served = thread::scope(|scope| {
            let workers: [_; WORKERS] = std::array::from_fn(|nr| {
                let (worker, bare) = (Arc::<Worker>::default(), &bare);
                let random = |thread| Random((seed * 1_000 + nr * 10 + thread) as u64);
                for task in 0..TASKS {
                    let (worker, random) = (Arc::clone(&worker), random(task));
                    scope.spawn(move || make_calls(&worker, task, random));
                }
                let (random, mut service) = (random(TASKS), service.clone());
                scope.spawn(move || {
                    serve(&worker, random, bare, |plan| service.call(plan.request()))
                })
            });
            workers.map(|worker| worker.join().expect("the worker does not panic"))
        });
        self.recorders.check(&served.concat())
    }
}

/// Serves requests one after the other.
fn serve<F, B>(
    worker: &Arc<Worker>,
    mut random: Random,
    bare: &[Vec<String>],
    mut call: impl FnMut(Plan) -> F,
) -> Vec<Arc<request::Request>>
where
    F: Future<Output = Result<Response<B>, Boom>> + Send,
    B: http_body::Body<Data = bytes::Bytes, Error = Boom> + Unpin + Send,
{
    let _stop = StopOnDrop(worker);
    let mut served = Vec::new();
    for number in 0..ROUND / WORKERS {
        let path = number % PATHS.len();
        let plan = Plan {
            path,
            verdicts: Verdicts::ALL[random.below(Verdicts::ALL.len())],
            worker: Some(Arc::clone(worker)),
            calls: random.below(12),
        };
        let (calls, is_elsewhere) = (random.below(12), random.below(6) == 0);
        let observed = PATHS[path].run(
            || call(plan),
            is_elsewhere,
            |step| {
                let request = worker.current().expect("the handler was called");
                request.wait_for_calls(calls);
                if step == PATHS[path].last {
                    request.mark_ending();
                }
            },
        );
        let request = worker.current().expect("the handler was called");
        request.mark_ended();
        if request.verdicts == Verdicts::After {
            request.handle.mark_aborted("after", "after the end");
        }
        request.wait_for_calls(random.below(4));
        assert_eq!(observed, bare[path], "{}", PATHS[path].name);
        served.push(request);
    }
    served
}

/// Makes calls on the current request of a worker until the worker is done.
fn make_calls(worker: &Worker, task: usize, mut random: Random) {
    while !worker.is_done.load(Ordering::SeqCst) {
        let Some(request) = worker.current() else {
            thread::yield_now();
            continue;
        };
        for _ in 0..random.below(12) {
            calls::call(&request, task, &mut random);
        }
        thread::yield_now();
    }
}
