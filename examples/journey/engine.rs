//! The engine behind the API: generates tokens and records its own span.

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

/// The number of tokens in an answer.
pub(crate) const TOKENS: u32 = 3;
/// The pause before each token and after the last one. The server flushes meanwhile: when a body fails, it
/// drops data that is not yet written.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);
/// How long a hanging engine hangs: longer than any client waits, but short enough for the server to stop.
const HANGS_FOR: Duration = Duration::from_secs(10);

/// The name of the engine's spans.
const ENGINE_SPAN: &str = "llm_core";
const FIRST_TOKEN: &str = "first_token";

/// The payload of the panics that belong to a scenario.
pub(crate) struct IntendedPanic;

/// An engine. Its spans are children of the current context, which the layer sets.
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

    /// Returns the signal for "all tokens are generated and the engine hangs".
    pub(crate) fn hanging(&self) -> Arc<Notify> {
        Arc::clone(&self.hanging)
    }

    /// Generates all tokens, then runs `last`.
    pub(crate) async fn generate<T>(&self, api: &SpanHandle, last: impl Future<Output = T>) -> T {
        let core = self.start(api);
        for token in 0..TOKENS {
            Self::token(token, &core).await;
        }
        last.await
    }

    /// Returns a stream of tokens, followed by the item of `last` if it has one. The engine starts with the
    /// first poll of the stream.
    pub(crate) fn generate_stream<T: Clone, E>(
        self,
        api: SpanHandle,
        token: T,
        last: impl Future<Output = Option<Result<T, E>>>,
    ) -> impl Stream<Item = Result<T, E>> {
        stream::once(async move {
            let core = self.start(&api);
            let token_context = core.clone();
            let tokens = stream::iter(0..TOKENS).then(move |nth| {
                let (core, token) = (token_context.clone(), token.clone());
                async move {
                    Self::token(nth, &core).await;
                    Ok(token)
                }
            });
            let last = stream::once(async move {
                // Ends the engine's span with the last item, or when the stream is dropped.
                let _core = core;
                sleep(PAUSE).await;
                last.await
            });
            tokens.chain(last.filter_map(future::ready))
        })
        .flatten()
    }

    /// Does nothing for so long that the client disconnects first.
    pub(crate) async fn hang(&self) {
        // Not `notify_one`: its permit would be kept for a later client.
        self.hanging.notify_waiters();
        sleep(HANGS_FOR).await;
    }

    /// Records the handoff and starts the engine's span, which ends with the last clone of this context.
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
