"""OpenAI's responses, with the OpenAI client. matrix.py has the ways to end."""

import openai

from case import ANSWER, ARRIVED, HANDOFF, MESSAGES, Case

PROMPT = MESSAGES[0]["content"]


class ResponsesApi(Case):
    def request(self, model, **options):
        return self.client().responses.create(
            model=model, input=PROMPT, extra_headers=self.trace.headers, **options
        )

    def test_events_are_numbered_and_end_with_the_whole_response(self):
        events = list(self.request("toy", stream=True, temperature=0.5))
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        self.assertEqual(
            [event.type for event in events if event.type != "response.output_text.delta"],
            [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                "response.completed",
            ],
        )
        self.assertEqual(events[-1].response.output_text, ANSWER)
        self.assert_departed(request)
        self.assert_attributes(request, {
            "http.route": "/v1/responses",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.id": events[-1].response.id,
            "gen_ai.usage.output_tokens": events[-1].response.usage.output_tokens,
        })

    def test_helper_for_streams_returns_the_final_response(self):
        with self.client().responses.stream(
            model="lingers", input=[{"role": "user", "content": PROMPT}], extra_headers=self.trace.headers
        ) as stream:
            for event in stream:
                if event.type == "response.completed":
                    # The span is written before the client has the event.
                    spans = self.trace.spans()
            self.assertEqual(stream.get_final_response().output_text, ANSWER)
        request, _ = self.request_and_engine_span(spans)
        self.assert_departed(request)
        self.assert_attributes(request, {"gen_ai.usage.input_tokens": 5})

    def test_limit_on_tokens_makes_the_response_incomplete(self):
        for stream in (True, False):
            with self.subTest(stream=stream):
                self.setUp()
                answer = self.request("toy", stream=stream, max_output_tokens=3)
                if stream:
                    *_, last = answer
                    self.assertEqual(last.type, "response.incomplete")
                    answer = last.response
                request, _ = self.request_and_engine_span(self.trace.wait_for(2))
                self.assertEqual(answer.incomplete_details.reason, "max_output_tokens")
                self.assertEqual(answer.output_text, "This answer always")
                self.assert_departed(request)
                self.assert_attributes(request, {
                    "gen_ai.request.max_tokens": 3,
                    "gen_ai.response.finish_reasons": ["max_output_tokens"],
                    "gen_ai.usage.output_tokens": 3,
                })

    def test_tool_call_departs(self):
        for stream in (True, False):
            with self.subTest(stream=stream):
                self.setUp()
                answer = self.request("calls-a-tool", stream=stream)
                if stream:
                    *_, last = answer
                    answer = last.response
                request, _ = self.request_and_engine_span(self.trace.wait_for(2))
                call = answer.output[0]
                self.assertEqual((call.type, call.name), ("function_call", "look_up"))
                self.assertEqual(call.arguments, '{"word":"data: [DONE]"}')
                self.assert_departed(request)
                self.assert_attributes(request, {
                    "gen_ai.response.finish_reasons": ["completed"],
                    "gen_ai.usage.output_tokens": 3,
                })

    def test_unknown_model_is_a_client_error(self):
        with self.assertRaises(openai.NotFoundError):
            self.request("unknown", stream=True)
        request = self.only_request_span(self.trace.wait_for(1))
        self.assert_aborted(request, "client_error", "Unset", ARRIVED)
        self.assert_attributes(request, {"gen_ai.request.model": "unknown"})

    def test_client_that_leaves_before_the_first_token_has_no_time_to_it(self):
        stream = self.request("stalls-at-0", stream=True)
        self.assertEqual(next(stream).type, "response.created")
        stream.close()
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_aborted(request, "client_disconnect", "Error", ARRIVED, HANDOFF)
        self.assert_attributes(request, {
            "gen_ai.response.time_to_first_chunk": None,
            "gen_ai.response.model": "toy-8w",
            "gen_ai.usage.output_tokens": 0,
        })
