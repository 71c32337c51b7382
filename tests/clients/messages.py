"""Anthropic's messages, with the Anthropic client. matrix.py has the ways to end."""

import json
import urllib.error
import urllib.request

import anthropic

from case import ANSWER, ARRIVED, FIRST, HANDOFF, MESSAGES, TOKENS, Case


class MessagesApi(Case):
    def request(self, model, **options):
        options = {"max_tokens": 100, **options}
        return self.anthropic().messages.create(
            model=model, messages=MESSAGES, extra_headers=self.trace.headers, **options
        )

    def test_helper_for_streams_returns_the_final_message(self):
        with self.anthropic().messages.stream(
            model="lingers", messages=MESSAGES, max_tokens=100, extra_headers=self.trace.headers
        ) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual((text, final.content[0].text), (ANSWER, ANSWER))
        self.assertEqual(final.usage.output_tokens, TOKENS)
        request, _ = self.request_and_engine_span(self.trace.spans())
        self.assert_departed(request)
        # Anthropic counts cached tokens beside the others. The convention counts all.
        self.assertEqual((final.usage.input_tokens, final.usage.cache_read_input_tokens), (3, 2))
        self.assert_attributes(request, {
            "http.route": "/v1/messages",
            "gen_ai.response.id": final.id,
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 2,
            "gen_ai.usage.output_tokens": TOKENS,
        })

    def test_span_ends_before_the_client_has_the_last_event(self):
        for event in self.request("lingers", stream=True):
            if event.type == "message_stop":
                spans = self.trace.spans()
        request, _ = self.request_and_engine_span(spans)
        self.assert_departed(request)

    def test_limit_on_tokens_is_the_finish_reason(self):
        for stream in (True, False):
            with self.subTest(stream=stream):
                self.setUp()
                answer = self.request("toy", stream=stream, max_tokens=3)
                if stream:
                    list(answer)
                request, _ = self.request_and_engine_span(self.trace.wait_for(2))
                self.assert_departed(request)
                self.assert_attributes(request, {
                    "gen_ai.request.max_tokens": 3,
                    "gen_ai.response.finish_reasons": ["max_tokens"],
                    "gen_ai.usage.input_tokens": 5,
                    "gen_ai.usage.output_tokens": 3,
                })

    def test_tool_call_departs(self):
        with self.anthropic().messages.stream(
            model="calls-a-tool", messages=MESSAGES, max_tokens=100, extra_headers=self.trace.headers
        ) as stream:
            streamed = stream.get_final_message()
        spans = [self.trace.wait_for(2)]
        self.setUp()
        whole = self.request("calls-a-tool")
        spans.append(self.trace.wait_for(2))
        for message, spans in zip((streamed, whole), spans):
            call = message.content[0]
            self.assertEqual((call.type, call.name), ("tool_use", "look_up"))
            self.assertEqual(call.input, {"word": "data: [DONE]"})
            request = next(span for span in spans if span["name"] == "llm_request")
            self.assert_departed(request)
            self.assert_attributes(request, {
                "gen_ai.response.finish_reasons": ["tool_use"], "gen_ai.usage.output_tokens": 3,
            })

    def test_keep_alive_is_no_first_token(self):
        list(self.request("waits", stream=True))
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_departed(request)
        attributes = request["attributes"]
        self.assertLess(attributes["api.time_to_first_byte"], 0.3)
        self.assertGreater(attributes["gen_ai.response.time_to_first_chunk"], 0.39)

    def test_error_responses_have_the_shape_of_the_api(self):
        with self.assertRaises(anthropic.NotFoundError) as raised:
            self.request("unknown")
        self.assertEqual(raised.exception.body["error"]["type"], "not_found_error")
        request = self.only_request_span(self.trace.wait_for(1))
        self.assert_aborted(request, "client_error", "Unset", ARRIVED)

    def test_engine_failure_is_a_generation_error_with_the_api_s_code(self):
        with self.assertRaises(anthropic.APIStatusError) as raised:
            list(self.request("fails-at-3", stream=True))
        self.assertEqual(raised.exception.body["error"]["type"], "api_error")
        request, core = self.request_and_engine_span(self.trace.wait_for(2))
        message = "the engine failed after 3 tokens"
        self.assert_aborted(
            request, "generation_error", "Error", ARRIVED, HANDOFF, FIRST,
            message=message, code="api_error",
        )
        self.assertEqual((core["status"], core["description"]), ("Error", message))

    def test_request_without_a_limit_on_tokens_is_a_validation_error(self):
        # The client does not send such a request.
        body = json.dumps({"model": "toy", "messages": MESSAGES}).encode()
        headers = {"content-type": "application/json", **self.trace.headers}
        request = urllib.request.Request(f"{self.server.url}/v1/messages", body, headers)
        with self.assertRaises(urllib.error.HTTPError) as raised:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
        with raised.exception as response:
            self.assertEqual(response.code, 400)
            self.assertEqual(json.load(response)["error"]["type"], "invalid_request_error")
        span = self.only_request_span(self.trace.wait_for(1))
        self.assert_aborted(span, "validation_error", "Unset", ARRIVED)
        self.assert_attributes(span, {"gen_ai.request.model": "toy"})
