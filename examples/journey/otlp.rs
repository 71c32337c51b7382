//! Exports the journey's spans to a collector, each below a span of its client.

use std::io;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry_otlp::{SpanExporter as OtlpSpans, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter, SpanLinks};

use crate::client::Observed;
use crate::journey::{Run, ScenarioRuns};
use crate::scenarios::Scenario;
use crate::spans::Spans;

/// Exports the spans of all requests over gRPC, with one trace for each request.
///
/// # Errors
///
/// One line with the fault and its remedy.
pub(crate) async fn export(url: &str, results: &[ScenarioRuns], spans: &Spans) -> io::Result<()> {
    let clients = results.iter().flat_map(|ScenarioRuns { scenario, runs }| {
        let runs = runs.iter();
        runs.filter_map(move |run| Some(client_span(scenario, run, run.observed.as_ref().ok()?)))
    });
    send(url, "client", clients.collect()).await?;
    send(url, "journey", spans.exported().to_vec()).await
}

async fn send(url: &str, service: &'static str, spans: Vec<SpanData>) -> io::Result<()> {
    let exporter = OtlpSpans::builder().with_tonic().with_endpoint(url).build();
    let mut exporter = exporter.map_err(|error| {
        io::Error::other(format!(
            "{url:?} is not the URL of a collector: {error}; give one such as http://127.0.0.1:4317"
        ))
    })?;
    exporter.set_resource(&Resource::builder().with_service_name(service).build());
    exporter.export(spans).await.map_err(|error| {
        io::Error::other(format!(
            "{url} does not accept the spans: {error}; start a collector there, or leave --otlp out"
        ))
    })
}

/// Returns a span of the client, the parent of the layer's span.
fn client_span(scenario: &Scenario, run: &Run, observed: &Observed) -> SpanData {
    let context = SpanContext::new(
        run.caller.trace_id,
        run.caller.span_id,
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    SpanData {
        span_context: context,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Client,
        name: format!("{}, {}", scenario.name, run.protocol.name()).into(),
        start_time: observed.sent,
        end_time: observed.ended,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("journey").build(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use opentelemetry::Context;
    use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
        TraceService, TraceServiceServer,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tonic::transport::Server;
    use tonic::transport::server::TcpIncoming;

    use super::*;
    use crate::client::{Caller, Protocol, Seen};
    use crate::scenarios;
    use crate::spans;

    /// A collector that forwards what it receives.
    struct Collector(mpsc::UnboundedSender<ResourceSpans>);

    #[tonic::async_trait]
    impl TraceService for Collector {
        async fn export(
            &self,
            request: tonic::Request<ExportTraceServiceRequest>,
        ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
            for spans in request.into_inner().resource_spans {
                self.0.send(spans).expect("the test receives");
            }
            Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
        }
    }

    /// Returns one request with its client's view and its span.
    fn request() -> (Vec<ScenarioRuns>, Spans) {
        let (provider, mut spans) = spans::provider();
        let caller = Caller::random();
        let context = SpanContext::new(
            caller.trace_id,
            caller.span_id,
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let parent = Context::new().with_remote_span_context(context);
        drop(
            provider
                .tracer("layer")
                .start_with_context("request", &parent),
        );
        spans.collect();
        let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let run = Run {
            protocol: Protocol::Http2,
            caller,
            observed: Ok(Observed {
                seen: Seen::grpc(0, None),
                sent,
                head: None,
                ended: sent + Duration::from_millis(20),
                connection: None,
            }),
        };
        let scenario = scenarios::all().into_iter().next().expect("a scenario");
        let runs = vec![run];
        (vec![ScenarioRuns { scenario, runs }], spans)
    }

    #[tokio::test]
    async fn spans_of_the_client_and_the_layer_are_one_trace() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (sender, mut received) = mpsc::unbounded_channel();
        let server = Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

        let (results, spans) = request();
        export(&url, &results, &spans).await.expect("exported");
        let mut next = || {
            let batch = received.try_recv().expect("a batch");
            let resource = batch.resource.expect("a resource");
            let span = batch.scope_spans[0].spans[0].clone();
            (format!("{:?}", resource.attributes), span)
        };
        let (client_resource, client) = next();
        let (service_resource, service) = next();
        assert!(client_resource.contains("\"client\""), "{client_resource}");
        assert!(
            service_resource.contains("\"journey\""),
            "{service_resource}"
        );
        assert_eq!(client.name, "success, streaming, HTTP/2");
        let lasted = client.end_time_unix_nano - client.start_time_unix_nano;
        assert_eq!(lasted, 20_000_000);
        assert_eq!(client.parent_span_id, Vec::<u8>::new());
        assert_eq!(service.parent_span_id, client.span_id);
        assert_eq!(service.trace_id, client.trace_id);
    }

    #[tokio::test]
    async fn collector_that_does_not_answer_gives_one_line_of_error() {
        let (results, spans) = request();
        // Nothing listens on port 1 of this address.
        let exported = export("http://127.0.0.1:1", &results, &spans).await;
        let error = exported.expect_err("no collector").to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(
            error.contains("; start a collector there, or leave --otlp out"),
            "{error}"
        );
    }
}
