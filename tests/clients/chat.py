"""OpenAI's chat completions and completions, with the OpenAI client."""

import asyncio

import openai

from case import ANSWER, ARRIVED, FIRST, HANDOFF, MESSAGES, TOKENS, Case, new_client
from server import Trace


class ChatCase(Case):
    def request_chat(self, model, trace=None, via=None, **options):
        """Requests a chat completion in this test's trace."""
        headers = {**(trace or self.trace).headers, **options.pop("extra_headers", {})}
        return (via or self.client()).chat.completions.create(
            model=model, messages=MESSAGES, extra_headers=headers, **options
        )


def text_of(chunks):
    """Returns the text of the first choices. The first chunk has an empty one, the last chunk none."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


class Streams(ChatCase):
    # The model `lingers` keeps the stream open after its terminator, and the client disconnects at the
    # terminator. The layer ends the span with the terminator, so the spans are written before the client
    # sees it: these tests do not wait for them.

    def test_stream_read_to_the_end_departs(self):
        stream = self.request_chat("lingers", stream=True, max_tokens=100, temperature=0.5)
        chunks = list(stream)
        request, core = self.request_and_engine_span(self.trace.spans())
        self.assertEqual(text_of(chunks), ANSWER)
        self.assert_departed(request)
        self.assert_attributes(request, {
            "gen_ai.request.model": "lingers",
            "gen_ai.response.model": "toy-8w",
            "gen_ai.request.max_tokens": 100,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.id": chunks[0].id,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": TOKENS,
            "http.route": "/v1/chat/completions",
        })
        self.assertNotIn("gen_ai.request.id", request["attributes"])
        self.assertEqual(core["status"], "Unset")
        # The first token is recorded on arrival, after the chunk with the role, and the span does not last until
        # the stream closes.
        first = request["attributes"]["gen_ai.response.time_to_first_chunk"]
        self.assertGreater(first, request["attributes"]["api.time_to_first_byte"])
        self.assertAlmostEqual(first, request["events"][2]["offset"], delta=0.01)
        self.assertLess(first, request["duration"] / 2)
        self.assertLess(request["duration"], 0.9)

    def test_stream_with_usage_and_two_choices_records_both(self):
        stream = self.request_chat(
            "lingers", stream=True, n=2, max_tokens=3, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        request, _ = self.request_and_engine_span(self.trace.spans())
        self.assertEqual(chunks[-1].choices, [])
        usage = chunks[-1].usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens), (5, 6))
        for index in range(2):
            of_choice = [c.choices[0] for c in chunks[:-1] if c.choices[0].index == index]
            self.assertEqual("".join(c.delta.content or "" for c in of_choice), "This answer always")
        self.assert_departed(request)
        self.assert_attributes(request, {
            "gen_ai.response.finish_reasons": ["length", "length"],
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 6,
            "gen_ai.usage.cache_read.input_tokens": 2,
            "gen_ai.usage.reasoning.output_tokens": 0,
        })

    def test_tool_call_departs_at_the_terminator(self):
        # The arguments contain the terminator.
        chunks = list(self.request_chat("calls-a-tool", stream=True))
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        calls = [chunk.choices[0].delta.tool_calls for chunk in chunks]
        calls = [call[0].function for call in calls if call]
        self.assertEqual(calls[0].name, "look_up")
        self.assertEqual("".join(call.arguments for call in calls), '{"word":"data: [DONE]"}')
        self.assert_departed(request)
        self.assert_attributes(request, {
            "gen_ai.response.finish_reasons": ["tool_calls"], "gen_ai.usage.output_tokens": 3,
        })

    def test_completions_stream_departs(self):
        stream = self.client().completions.create(
            model="lingers", prompt="Hello there", stream=True, extra_headers=self.trace.headers
        )
        text = "".join(chunk.choices[0].text for chunk in stream)
        request, _ = self.request_and_engine_span(self.trace.spans())
        self.assertEqual(text, ANSWER)
        self.assert_departed(request)
        self.assert_attributes(request, {
            "http.route": "/v1/completions",
            "gen_ai.operation.name": "text_completion",
            "gen_ai.request.model": "lingers",
            "gen_ai.response.model": "toy-8w",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 2,
        })

    def test_client_that_stops_after_three_chunks_is_a_client_disconnect(self):
        stream = self.request_chat("slow", stream=True)
        # The first chunk has no token.
        for _ in range(4):
            next(stream)
        stream.close()
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_aborted(request, "client_disconnect", "Error", ARRIVED, HANDOFF, FIRST)
        self.assert_attributes(request, {"http.response.status_code": 200})
        # The stream does not carry the usage. The handler records it when its stream is dropped, which is before the
        # span's end.
        self.assertIn(request["attributes"]["gen_ai.usage.output_tokens"], range(3, TOKENS))
        # Three tokens of 200 ms, not all eight.
        self.assertGreater(request["duration"], 0.6)
        self.assertLess(request["duration"], 1.6)

    def test_engine_failure_is_a_generation_error(self):
        stream = self.request_chat("fails-at-3", stream=True)
        chunks = []
        with self.assertRaises(openai.APIError) as raised:
            chunks.extend(iter(stream.__next__, None))
        self.assertEqual(text_of(chunks), "This answer always")
        message = "the engine failed after 3 tokens"
        self.assertEqual(raised.exception.message, message)
        request, core = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_aborted(
            request, "generation_error", "Error", ARRIVED, HANDOFF, FIRST, message=message, code="500"
        )
        self.assert_attributes(request, {"http.response.status_code": 200, "gen_ai.usage.output_tokens": 3})
        self.assertEqual((core["status"], core["description"]), ("Error", message))

    def test_engine_failure_before_the_first_token_is_a_generation_error(self):
        with self.assertRaises(openai.APIError):
            list(self.request_chat("fails-at-0", stream=True))
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_aborted(
            request, "generation_error", "Error", ARRIVED, HANDOFF,
            message="the engine failed after 0 tokens", code="500",
        )
        # There is no first token, so it has no time.
        self.assertNotIn("gen_ai.response.time_to_first_chunk", request["attributes"])

    def test_client_timeout_is_a_client_disconnect(self):
        stream = self.request_chat("stalls", via=self.client(timeout=0.5), stream=True)
        self.assert_times_out(lambda: list(stream))
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_aborted(request, "client_disconnect", "Error", ARRIVED, HANDOFF, FIRST)
        self.assert_attributes(request, {"gen_ai.usage.output_tokens": 3})
        self.assertGreater(request["duration"], 0.5)

    def assert_times_out(self, request):
        # The class differs between the client's versions.
        with self.assertRaises(Exception) as raised:
            request()
        self.assertIn("Timeout", type(raised.exception).__name__)


class Buffered(ChatCase):
    def test_chat_response_departs(self):
        answer = self.request_chat("toy", n=2, max_tokens=3, temperature=0)
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assertEqual([c.message.content for c in answer.choices], ["This answer always"] * 2)
        self.assertEqual(answer.usage.completion_tokens, 6)
        self.assert_departed(request)
        self.assert_attributes(request, {
            "gen_ai.request.model": "toy",
            "gen_ai.response.model": "toy-8w",
            "gen_ai.request.max_tokens": 3,
            "gen_ai.request.temperature": 0,
            "gen_ai.response.finish_reasons": ["length", "length"],
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 6,
            "gen_ai.response.id": answer.id,
            # Not a stream: there is no first chunk.
            "gen_ai.response.time_to_first_chunk": None,
        })

    def test_completions_response_departs(self):
        answer = self.client().completions.create(
            model="toy", prompt="Hello there", extra_headers=self.trace.headers
        )
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assertEqual(answer.choices[0].text, ANSWER)
        self.assert_departed(request)
        self.assert_attributes(request, {"http.route": "/v1/completions"})

    def test_request_id_header_is_recorded(self):
        self.request_chat("toy", extra_headers={"x-request-id": "r-2718"})
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_departed(request)
        self.assert_attributes(request, {"gen_ai.request.id": "r-2718"})

    def test_rejected_request_is_a_validation_error(self):
        with self.assertRaises(openai.BadRequestError):
            self.request_chat("refuses", stream=True)
        request = self.only_request_span(self.trace.wait_for(1))
        self.assert_aborted(request, "validation_error", "Unset", ARRIVED)
        self.assert_attributes(request, {"http.response.status_code": 400, "gen_ai.request.model": "refuses"})

    def test_unknown_model_is_a_client_error(self):
        with self.assertRaises(openai.NotFoundError):
            self.request_chat("unknown")
        request = self.only_request_span(self.trace.wait_for(1))
        self.assert_aborted(request, "client_error", "Unset", ARRIVED)
        self.assert_attributes(request, {"http.response.status_code": 404})

    def test_engine_failure_is_a_generation_error(self):
        with self.assertRaises(openai.InternalServerError):
            self.request_chat("fails-at-3")
        request, core = self.request_and_engine_span(self.trace.wait_for(2))
        message = "the engine failed after 3 tokens"
        self.assert_aborted(
            request, "generation_error", "Error", ARRIVED, HANDOFF, message=message
        )
        self.assert_attributes(request, {"http.response.status_code": 500, "gen_ai.usage.output_tokens": 3})
        self.assertEqual((core["status"], core["description"]), ("Error", message))

    def test_client_timeout_is_a_client_disconnect(self):
        with self.assertRaises(openai.APITimeoutError):
            self.request_chat("stalls", via=self.client(timeout=0.5))
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        # No status code: the head was not sent.
        self.assert_aborted(request, "client_disconnect", "Error", ARRIVED, HANDOFF)
        self.assert_attributes(request, {"http.response.status_code": None})


class Concurrent(ChatCase):
    def test_fifty_concurrent_streams_have_their_own_spans(self):
        traces = [Trace(self.server) for _ in range(50)]

        async def one(via, number, trace):
            stream = await self.request_chat(
                "lingers", trace, via, stream=True, extra_headers={"x-request-id": f"many-{number}"}
            )
            return text_of([chunk async for chunk in stream])

        async def all_of_them():
            async with new_client(openai.AsyncOpenAI, self.server.url) as via:
                requests = (one(via, number, trace) for number, trace in enumerate(traces))
                return await asyncio.gather(*requests)

        answers = asyncio.run(all_of_them())
        self.assertEqual(answers, [ANSWER] * 50)
        for number, trace in enumerate(traces):
            request, _ = self.request_and_engine_span(trace.spans(), trace)
            self.assert_departed(request)
            self.assert_attributes(request, {"gen_ai.request.id": f"many-{number}"})
