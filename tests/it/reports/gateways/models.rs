//! Names of models that clients choose.

use bytes::Bytes;
use tower_api_span::ApiSpanLayer;

use super::exchange::{Answer, EVENTS, post, send, serve};
use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Recorder, w3c};

const CHUNK: &str = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[]}\n\n";
const FAILURE: &str = "data: {\"error\":{\"message\":\"no such model\"}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn answer(end: &'static str) -> Answer {
    Answer {
        content_type: EVENTS,
        frames: [CHUNK, end].map(Bytes::from).to_vec(),
        stays_open: false,
    }
}

fn request(model: &str) -> String {
    let body = format!(r#"{{"model":"{model}","messages":[],"stream":true}}"#);
    post("/v1/chat/completions", &body)
}

/// litellm #39136, kthena #1378, dynamo #9836: each name that a client invented had series for ever. llm-d-router #1909:
/// such names must not displace a real one.
#[tokio::test]
async fn invented_models_share_a_series_and_displace_no_real_one() {
    let (recorder, meters) = (Recorder::new(), Meters::new());
    let layer = ApiSpanLayer::llm()
        .tracer_provider(&recorder.provider)
        .propagator(w3c());
    let layer = meters.on(layer);
    let fails = serve(layer.clone(), answer(FAILURE)).await;
    let answers = serve(layer, answer(DONE)).await;
    // More than the models that a layer learns.
    for id in 0..1_100 {
        send(fails, &request(&format!("invented-{id}")), None).await;
    }
    send(answers, &request("real"), None).await;
    recorder.all_ended().await;
    let series = meters.of("gen_ai.server.request.duration");
    let counted = |series: &Series| (series.attribute("gen_ai.request.model"), series.count());
    let mut models: Vec<_> = series.iter().map(counted).collect();
    models.sort();
    let expected = [("_OTHER", 1_100), ("real", 1)];
    assert_eq!(
        models,
        expected.map(|(model, count)| (Some(model.to_owned()), count))
    );
}
