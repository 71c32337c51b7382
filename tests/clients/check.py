"""Checks the spans of requests from the OpenAI Python client to examples/llm. Started by tests/clients/run."""

import asyncio
import os
import subprocess
import sys
import unittest
import urllib.request

import openai

from server import Server, Trace

# Requests to the local server bypass any proxy.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"

BINARY = None
SERVER = None

MESSAGES = [{"role": "user", "content": "Answer in eight short words."}]
ANSWER = "This answer always has the same eight words."
TOKENS = 8

ARRIVED = "api.ARRIVED"
HANDOFF = "api.HANDOFF_TO_CORE"
FIRST = "api.FIRST_RESPONSE_FROM_CORE"
DEPARTED = "api.DEPARTED"
ABORTED = "api.ABORTED"


def client(kind=openai.OpenAI, **options):
    # No retries: each would add a span.
    options = {"max_retries": 0, "timeout": 10, **options}
    return kind(base_url=f"{SERVER.url}/v1", api_key="none", **options)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.trace = Trace(SERVER)

    def request_chat(self, model, trace=None, via=None, **options):
        """Requests a chat completion in this test's trace."""
        headers = {**(trace or self.trace).headers, **options.pop("extra_headers", {})}
        return (via or self.client()).chat.completions.create(
            model=model, messages=MESSAGES, extra_headers=headers, **options
        )

    def client(self, **options):
        new = client(**options)
        self.addCleanup(new.close)
        return new

    def request_and_engine_span(self, spans, trace=None):
        """Returns the spans of a request that reached the engine."""
        names = sorted(span["name"] for span in spans)
        self.assertEqual(names, ["llm_core", "llm_request"])
        core, request = sorted(spans, key=lambda span: span["name"])
        self.assertEqual(core["kind"], "INTERNAL")
        self.assertEqual(core["parent_span_id"], request["span_id"])
        self.assert_child_of_caller(request, trace or self.trace)
        self.assertLessEqual(core["duration"], request["duration"])
        return request, core

    def only_request_span(self, spans):
        """Returns the span of a request that did not reach the engine."""
        self.assertEqual([span["name"] for span in spans], ["llm_request"])
        self.assert_child_of_caller(spans[0], self.trace)
        return spans[0]

    def assert_child_of_caller(self, request, trace):
        self.assertEqual(request["kind"], "SERVER")
        self.assertEqual(request["parent_span_id"], trace.span_id)

    def assert_events(self, request, *names):
        self.assertEqual([event["name"] for event in request["events"]], list(names))
        offsets = [event["offset"] for event in request["events"]]
        self.assertEqual(offsets, sorted(offsets))
        self.assertEqual(offsets[0], 0)
        self.assertLessEqual(offsets[-1], request["duration"])

    def assert_departed(self, request):
        self.assert_events(request, ARRIVED, HANDOFF, FIRST, DEPARTED)
        self.assert_attributes(request, {"api.outcome": "DEPARTED", "http.response.status_code": 200})
        self.assertEqual((request["status"], request["description"]), ("Unset", ""))
        self.assertNotIn("error.type", request["attributes"])

    def assert_aborted(self, request, reason, status, *names, message=None):
        self.assert_events(request, *names, ABORTED)
        attributes = {"reason": reason}
        if message is not None:
            attributes["error"] = message
        self.assertEqual(request["events"][-1]["attributes"], attributes)
        self.assert_attributes(request, {"api.outcome": "ABORTED", "api.abort.reason": reason})
        self.assertEqual(request["status"], status)
        self.assertEqual(request["description"], message or "")
        error_type = request["attributes"].get("error.type")
        self.assertEqual(error_type, reason if status == "Error" else None)

    def assert_attributes(self, span, attributes):
        found = {key: span["attributes"].get(key) for key in attributes}
        self.assertEqual(found, attributes)


class Streams(Case):
    # The model `lingers` keeps the stream open after its terminator, and the client disconnects at the
    # terminator. The layer ends the span with the terminator, so the spans are written before the client
    # sees it: these tests do not wait for them.

    def test_stream_read_to_the_end_departs(self):
        stream = self.request_chat("lingers", stream=True, max_tokens=100, temperature=0.5)
        chunks = list(stream)
        request, core = self.request_and_engine_span(self.trace.spans())
        self.assertEqual("".join(c.choices[0].delta.content for c in chunks), ANSWER)
        self.assert_departed(request)
        self.assert_attributes(request, {
            "gen_ai.request.model": "lingers",
            "gen_ai.response.model": "toy-8w",
            "gen_ai.request.max_tokens": 100,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": TOKENS,
            "http.route": "/v1/chat/completions",
        })
        self.assertNotIn("gen_ai.request.id", request["attributes"])
        self.assertEqual(core["status"], "Unset")
        # The first token is recorded on arrival, and the span does not last until the stream closes.
        first = request["attributes"]["gen_ai.response.time_to_first_chunk"]
        self.assertEqual(first, request["attributes"]["api.time_to_first_byte"])
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
            self.assertEqual("".join(c.delta.content for c in of_choice), "This answer always")
        self.assert_departed(request)
        self.assert_attributes(request, {
            "gen_ai.response.finish_reasons": ["length", "length"],
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 6,
        })

    def test_completions_stream_departs(self):
        stream = self.client().completions.create(
            model="lingers", prompt="Hello there", stream=True, extra_headers=self.trace.headers
        )
        text = "".join(chunk.choices[0].text for chunk in stream)
        request, _ = self.request_and_engine_span(self.trace.spans())
        self.assertEqual(text, ANSWER)
        self.assert_departed(request)
        self.assert_attributes(request, {"http.route": "/v1/completions", "gen_ai.usage.input_tokens": 2})

    def test_client_that_stops_after_three_chunks_is_a_client_disconnect(self):
        stream = self.request_chat("slow", stream=True)
        for _ in range(3):
            next(stream)
        stream.close()
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_aborted(request, "client_disconnect", "Error", ARRIVED, HANDOFF, FIRST)
        self.assert_attributes(request, {"http.response.status_code": 200})
        # The handler records its usage when its stream is dropped, which is before the span's end.
        self.assertIn(request["attributes"]["gen_ai.usage.output_tokens"], range(3, TOKENS))
        # Three tokens of 200 ms, not all eight.
        self.assertGreater(request["duration"], 0.6)
        self.assertLess(request["duration"], 1.6)

    def test_engine_failure_is_a_generation_error(self):
        stream = self.request_chat("fails-at-3", stream=True)
        chunks = []
        with self.assertRaises(openai.APIError) as raised:
            chunks.extend(chunk.choices[0].delta.content for chunk in iter(stream.__next__, None))
        message = "the engine failed after 3 tokens"
        self.assertEqual(raised.exception.message, message)
        request, core = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_aborted(
            request, "generation_error", "Error", ARRIVED, HANDOFF, FIRST, message=message
        )
        self.assert_attributes(request, {"http.response.status_code": 200, "gen_ai.usage.output_tokens": 3})
        self.assertEqual((core["status"], core["description"]), ("Error", message))

    def test_engine_failure_before_the_first_token_is_a_generation_error(self):
        with self.assertRaises(openai.APIError):
            list(self.request_chat("fails-at-0", stream=True))
        request, _ = self.request_and_engine_span(self.trace.wait_for(2))
        self.assert_aborted(
            request, "generation_error", "Error", ARRIVED, HANDOFF, FIRST,
            message="the engine failed after 0 tokens",
        )

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


class Buffered(Case):
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


class Concurrent(Case):
    def test_fifty_concurrent_streams_have_their_own_spans(self):
        traces = [Trace(SERVER) for _ in range(50)]

        async def one(via, number, trace):
            stream = await self.request_chat(
                "lingers", trace, via, stream=True, extra_headers={"x-request-id": f"many-{number}"}
            )
            return "".join([chunk.choices[0].delta.content async for chunk in stream])

        async def all_of_them():
            async with client(openai.AsyncOpenAI) as via:
                requests = (one(via, number, trace) for number, trace in enumerate(traces))
                return await asyncio.gather(*requests)

        answers = asyncio.run(all_of_them())
        self.assertEqual(answers, [ANSWER] * 50)
        for number, trace in enumerate(traces):
            request, _ = self.request_and_engine_span(trace.spans(), trace)
            self.assert_departed(request)
            self.assert_attributes(request, {"gen_ai.request.id": f"many-{number}"})


class NotTraced(Case):
    def test_models_health_and_options_have_no_span(self):
        # A traced request follows: by the time its spans are written, theirs would be too.
        later = Trace(SERVER)
        listed = self.client().models.list(extra_headers=self.trace.headers)
        self.assertIn("toy", [model.id for model in listed])
        for method, path in [("GET", "/health"), ("OPTIONS", "/v1/chat/completions")]:
            request = urllib.request.Request(
                SERVER.url + path, method=method, headers=self.trace.headers
            )
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()
            except urllib.error.HTTPError as error:
                # No handler accepts OPTIONS.
                self.assertEqual((method, error.code), ("OPTIONS", 405))
                error.close()
        self.request_chat("toy", later)
        self.request_and_engine_span(later.wait_for(2), later)
        self.assertEqual(self.trace.spans(), [])


class Arguments(unittest.TestCase):
    def test_wrong_arguments_give_exit_code_2_and_one_line(self):
        for arguments in (["--loud"], ["--addr"], ["--addr", "nowhere"], ["--spans"]):
            with self.subTest(arguments):
                ran = subprocess.run([BINARY, *arguments], capture_output=True, text=True)
                self.assertEqual((ran.returncode, ran.stdout), (2, ""))
                self.assertRegex(ran.stderr, r"\Allm: .+\n\Z")


def main():
    global BINARY, SERVER
    BINARY = sys.argv.pop(1)
    SERVER = Server(BINARY)
    try:
        tests = unittest.main(exit=False)
    finally:
        code, spans = SERVER.stop()
    faults = [] if tests.result.wasSuccessful() else ["a test has failed, see above"]
    if code != 0:
        faults.append(f"the server's exit code is {code}, not 0")
    if len({span["span_id"] for span in spans}) != len(spans):
        faults.append("a span has been written twice")
    requests = {span["span_id"] for span in spans if span["name"] == "llm_request"}
    cores = [span["parent_span_id"] for span in spans if span["name"] == "llm_core"]
    if len(requests) + len(cores) != len(spans):
        faults.append("there are spans with other names")
    if len(set(cores)) != len(cores) or not requests.issuperset(cores):
        faults.append("the llm_core spans are not children of distinct llm_request spans")
    for fault in faults:
        print(f"clients: {fault}", file=sys.stderr)
    print(f"{tests.result.testsRun} tests, {len(requests)} requests, {len(spans)} spans")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
