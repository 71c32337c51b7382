//! The engine behind the API: makes tokens, and tells of it in a span of its own.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::sync::Notify;
use tokio::time::sleep;
use tower_api_span::SpanHandle;

/// How many tokens an answer has.
pub(crate) const TOKENS: u32 = 3;
/// Before each token, and before what follows the last one. It also gives the server the occasion
/// to flush: it drops what it has not yet written when a body fails.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);
/// How long the engine hangs where it does: longer than a client of the journey waits, but not so
/// long that a server which is told to stop would not.
const HANGS_FOR: Duration = Duration::from_secs(10);

/// Name of the engine's spans.
const ENGINE_SPAN: &str = "llm_core";
const FIRST_TOKEN: &str = "first_token";

/// The payload of the panics that belong to a scenario.
pub(crate) struct IntendedPanic;

/// An engine. Its spans are children of whatever is current where it runs, which is for the layer
/// to see to.
#[derive(Clone)]
pub(crate) struct Engine {
    tracer: SdkTracer,
    hanging: Arc<Notify>,
}

impl Engine {
    pub(crate) fn new(provider: &SdkTracerProvider) -> Self {
        Self {
            tracer: provider.tracer("engine"),
            hanging: Arc::new(Notify::new()),
        }
    }

    /// Told when the engine has made its tokens and hangs.
    pub(crate) fn hanging(&self) -> Arc<Notify> {
        Arc::clone(&self.hanging)
    }

    /// Makes all tokens, then does what `last` does.
    pub(crate) async fn whole<T>(&self, api: &SpanHandle, last: impl Future<Output = T>) -> T {
        let core = self.start(api);
        for token in 0..TOKENS {
            Self::token(token, &core).await;
        }
        last.await
    }

    /// A stream of tokens that ends as `last` says: with one more item or without. The engine
    /// starts with the first poll of the stream.
    pub(crate) fn stream<T: Clone, E>(
        self,
        api: SpanHandle,
        token: T,
        last: impl Future<Output = Option<Result<T, E>>>,
    ) -> impl Stream<Item = Result<T, E>> {
        stream::once(async move {
            let core = self.start(&api);
            let of_tokens = core.clone();
            let tokens = stream::iter(0..TOKENS).then(move |nth| {
                let (core, token) = (of_tokens.clone(), token.clone());
                async move {
                    Self::token(nth, &core).await;
                    Ok(token)
                }
            });
            let last = stream::once(async move {
                // Ends with the last item, or with the stream if that is given up earlier.
                let _core = core;
                sleep(PAUSE).await;
                last.await
            });
            tokens.chain(last.filter_map(future::ready))
        })
        .flatten()
    }

    /// Does nothing for so long that the client leaves first.
    pub(crate) async fn hang(&self) {
        // Not `notify_one`, which would be kept for a client that waits later.
        self.hanging.notify_waiters();
        sleep(HANGS_FOR).await;
    }

    /// The request is the engine's from here on. Its span ends with the last clone of this context.
    fn start(&self, api: &SpanHandle) -> Context {
        api.handoff_to_core();
        Context::current_with_span(self.tracer.start(ENGINE_SPAN))
    }

    async fn token(nth: u32, core: &Context) {
        sleep(PAUSE).await;
        if nth == 0 {
            core.span().add_event(FIRST_TOKEN, Vec::new());
        }
    }
}
