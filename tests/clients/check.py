"""What becomes of requests that OpenAI's own client makes: `tests/clients/run`."""

import asyncio
import os
import subprocess
import sys
import unittest
import urllib.request

import openai

from server import Server, Trace

# The server is here, whatever else has to go by way of a proxy.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"

BINARY = None
SERVER = None

MESSAGES = [{"role": "user", "content": "What can a toy say?"}]
ANSWER = "All that a toy can say is this."
TOKENS = 8

ARRIVED = "api.ARRIVED"
HANDOFF = "api.HANDOFF_TO_CORE"
FIRST = "api.FIRST_RESPONSE_FROM_CORE"
DEPARTED = "api.DEPARTED"
ABORTED = "api.ABORTED"


def client(kind=openai.OpenAI, **options):
    # A second try would be a second span.
    options = {"max_retries": 0, "timeout": 10, **options}
    return kind(base_url=f"{SERVER.url}/v1", api_key="none", **options)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.trace = Trace(SERVER)

    def ask(self, model, trace=None, by=None, **options):
        """A chat completion, in this test's trace."""
        headers = {**(trace or self.trace).headers, **options.pop("extra_headers", {})}
        return (by or self.client()).chat.completions.create(
            model=model, messages=MESSAGES, extra_headers=headers, **options
        )

    def client(self, **options):
        made = client(**options)
        self.addCleanup(made.close)
        return made

    def both(self, spans, trace=None):
        """The request's span and the engine's, of a request that the engine has seen."""
        names = sorted(span["name"] for span in spans)
        self.assertEqual(names, ["llm_core", "llm_request"])
        core, request = sorted(spans, key=lambda span: span["name"])
        self.assertEqual(core["kind"], "INTERNAL")
        self.assertEqual(core["parent_span_id"], request["span_id"])
        self.of_caller(request, trace or self.trace)
        self.assertLessEqual(core["duration"], request["duration"])
        return request, core

    def alone(self, spans):
        """The span of a request that the engine has not seen."""
        self.assertEqual([span["name"] for span in spans], ["llm_request"])
        self.of_caller(spans[0], self.trace)
        return spans[0]

    def of_caller(self, request, trace):
        self.assertEqual(request["kind"], "SERVER")
        self.assertEqual(request["parent_span_id"], trace.span_id)

    def events(self, request, *names):
        self.assertEqual([event["name"] for event in request["events"]], list(names))
        offsets = [event["offset"] for event in request["events"]]
        self.assertEqual(offsets, sorted(offsets))
        self.assertEqual(offsets[0], 0)
        self.assertLessEqual(offsets[-1], request["duration"])

    def departed(self, request):
        self.events(request, ARRIVED, HANDOFF, FIRST, DEPARTED)
        self.has(request, {"api.outcome": "DEPARTED", "http.response.status_code": 200})
        self.assertEqual((request["status"], request["description"]), ("Unset", ""))
        self.assertNotIn("error.type", request["attributes"])

    def aborted(self, request, reason, status, *names, message=None):
        self.events(request, *names, ABORTED)
        says = {"reason": reason}
        if message is not None:
            says["error"] = message
        self.assertEqual(request["events"][-1]["attributes"], says)
        self.has(request, {"api.outcome": "ABORTED", "api.abort.reason": reason})
        self.assertEqual(request["status"], status)
        self.assertEqual(request["description"], message or "")
        error_type = request["attributes"].get("error.type")
        self.assertEqual(error_type, reason if status == "Error" else None)

    def has(self, span, attributes):
        there = {key: span["attributes"].get(key) for key in attributes}
        self.assertEqual(there, attributes)


class Streams(Case):
    # The model that lingers leaves the stream open after its terminator. The client leaves then,
    # which would be a disconnection to whoever does not know the terminator, and its spans must be
    # there without waiting: they have ended before the client could see it.

    def test_to_the_end(self):
        stream = self.ask("lingers", stream=True, max_tokens=100, temperature=0.5)
        chunks = list(stream)
        request, core = self.both(self.trace.spans())
        self.assertEqual("".join(c.choices[0].delta.content for c in chunks), ANSWER)
        self.departed(request)
        self.has(request, {
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
        # The first token is seen when it comes, and what lingers is not waited for.
        first = request["attributes"]["gen_ai.response.time_to_first_chunk"]
        self.assertEqual(first, request["attributes"]["api.time_to_first_byte"])
        self.assertAlmostEqual(first, request["events"][2]["offset"], delta=0.01)
        self.assertLess(first, request["duration"] / 2)
        self.assertLess(request["duration"], 0.9)

    def test_usage_and_choices(self):
        stream = self.ask(
            "lingers", stream=True, n=2, max_tokens=3, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        request, _ = self.both(self.trace.spans())
        self.assertEqual(chunks[-1].choices, [])
        usage = chunks[-1].usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens), (5, 6))
        for index in range(2):
            of_choice = [c.choices[0] for c in chunks[:-1] if c.choices[0].index == index]
            self.assertEqual("".join(c.delta.content for c in of_choice), "All that a")
        self.departed(request)
        self.has(request, {
            "gen_ai.response.finish_reasons": ["length", "length"],
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 6,
        })

    def test_completions(self):
        stream = self.client().completions.create(
            model="lingers", prompt="Say it", stream=True, extra_headers=self.trace.headers
        )
        text = "".join(chunk.choices[0].text for chunk in stream)
        request, _ = self.both(self.trace.spans())
        self.assertEqual(text, ANSWER)
        self.departed(request)
        self.has(request, {"http.route": "/v1/completions", "gen_ai.usage.input_tokens": 2})

    def test_stopping_after_three_chunks(self):
        stream = self.ask("slow", stream=True)
        for _ in range(3):
            next(stream)
        stream.close()
        request, _ = self.both(self.trace.wait_for(2))
        self.aborted(request, "client_disconnect", "Error", ARRIVED, HANDOFF, FIRST)
        self.has(request, {"http.response.status_code": 200})
        # The handler's account is taken when its stream is dropped, which is before the span's end.
        self.assertIn(request["attributes"]["gen_ai.usage.output_tokens"], range(3, TOKENS))
        # Three tokens of 200 ms, and not all eight.
        self.assertGreater(request["duration"], 0.6)
        self.assertLess(request["duration"], 1.6)

    def test_engine_failure(self):
        stream = self.ask("fails-at-3", stream=True)
        chunks = []
        with self.assertRaises(openai.APIError) as raised:
            chunks.extend(chunk.choices[0].delta.content for chunk in iter(stream.__next__, None))
        message = "the engine failed after 3 tokens"
        self.assertEqual(raised.exception.message, message)
        request, core = self.both(self.trace.wait_for(2))
        self.aborted(
            request, "generation_error", "Error", ARRIVED, HANDOFF, FIRST, message=message
        )
        self.has(request, {"http.response.status_code": 200, "gen_ai.usage.output_tokens": 3})
        self.assertEqual((core["status"], core["description"]), ("Error", message))

    def test_engine_failure_at_once(self):
        with self.assertRaises(openai.APIError):
            list(self.ask("fails-at-0", stream=True))
        request, _ = self.both(self.trace.wait_for(2))
        self.aborted(
            request, "generation_error", "Error", ARRIVED, HANDOFF, FIRST,
            message="the engine failed after 0 tokens",
        )

    def test_client_timeout(self):
        stream = self.ask("stalls", by=self.client(timeout=0.5), stream=True)
        self.times_out(lambda: list(stream))
        request, _ = self.both(self.trace.wait_for(2))
        self.aborted(request, "client_disconnect", "Error", ARRIVED, HANDOFF, FIRST)
        self.has(request, {"gen_ai.usage.output_tokens": 3})
        self.assertGreater(request["duration"], 0.5)

    def times_out(self, asks):
        # Which class it is differs between the client's versions.
        with self.assertRaises(Exception) as raised:
            asks()
        self.assertIn("Timeout", type(raised.exception).__name__)


class Whole(Case):
    def test_chat(self):
        answer = self.ask("toy", n=2, max_tokens=3, temperature=0)
        request, _ = self.both(self.trace.wait_for(2))
        self.assertEqual([c.message.content for c in answer.choices], ["All that a"] * 2)
        self.assertEqual(answer.usage.completion_tokens, 6)
        self.departed(request)
        self.has(request, {
            "gen_ai.request.model": "toy",
            "gen_ai.response.model": "toy-8w",
            "gen_ai.request.max_tokens": 3,
            "gen_ai.request.temperature": 0,
            "gen_ai.response.finish_reasons": ["length", "length"],
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 6,
            # Not a stream, so there is no first chunk.
            "gen_ai.response.time_to_first_chunk": None,
        })

    def test_completions(self):
        answer = self.client().completions.create(
            model="toy", prompt="Say it", extra_headers=self.trace.headers
        )
        request, _ = self.both(self.trace.wait_for(2))
        self.assertEqual(answer.choices[0].text, ANSWER)
        self.departed(request)
        self.has(request, {"http.route": "/v1/completions"})

    def test_request_id(self):
        self.ask("toy", extra_headers={"x-request-id": "r-2718"})
        request, _ = self.both(self.trace.wait_for(2))
        self.departed(request)
        self.has(request, {"gen_ai.request.id": "r-2718"})

    def test_refused(self):
        with self.assertRaises(openai.BadRequestError):
            self.ask("refuses", stream=True)
        request = self.alone(self.trace.wait_for(1))
        self.aborted(request, "validation_error", "Unset", ARRIVED)
        self.has(request, {"http.response.status_code": 400, "gen_ai.request.model": "refuses"})

    def test_unknown_model(self):
        with self.assertRaises(openai.NotFoundError):
            self.ask("nobody")
        request = self.alone(self.trace.wait_for(1))
        self.aborted(request, "client_error", "Unset", ARRIVED)
        self.has(request, {"http.response.status_code": 404})

    def test_engine_failure(self):
        with self.assertRaises(openai.InternalServerError):
            self.ask("fails-at-3")
        request, core = self.both(self.trace.wait_for(2))
        message = "the engine failed after 3 tokens"
        self.aborted(
            request, "generation_error", "Error", ARRIVED, HANDOFF, message=message
        )
        self.has(request, {"http.response.status_code": 500, "gen_ai.usage.output_tokens": 3})
        self.assertEqual((core["status"], core["description"]), ("Error", message))

    def test_client_timeout(self):
        with self.assertRaises(openai.APITimeoutError):
            self.ask("stalls", by=self.client(timeout=0.5))
        request, _ = self.both(self.trace.wait_for(2))
        # The head has not come yet, so there is no code either.
        self.aborted(request, "client_disconnect", "Error", ARRIVED, HANDOFF)
        self.has(request, {"http.response.status_code": None})


class Many(Case):
    def test_fifty_at_once(self):
        traces = [Trace(SERVER) for _ in range(50)]

        async def one(by, number, trace):
            stream = await self.ask(
                "lingers", trace, by, stream=True, extra_headers={"x-request-id": f"many-{number}"}
            )
            return "".join([chunk.choices[0].delta.content async for chunk in stream])

        async def all_of_them():
            async with client(openai.AsyncOpenAI) as by:
                asked = (one(by, number, trace) for number, trace in enumerate(traces))
                return await asyncio.gather(*asked)

        answers = asyncio.run(all_of_them())
        self.assertEqual(answers, [ANSWER] * 50)
        for number, trace in enumerate(traces):
            request, _ = self.both(trace.spans(), trace)
            self.departed(request)
            self.has(request, {"gen_ai.request.id": f"many-{number}"})


class NotTraced(Case):
    def test_models_health_and_options(self):
        # One that is traced comes after them, so that theirs would have been written by then.
        later = Trace(SERVER)
        listed = self.client().models.list(extra_headers=self.trace.headers)
        self.assertIn("toy", [model.id for model in listed])
        for method, path in [("GET", "/health"), ("OPTIONS", "/v1/chat/completions")]:
            asked = urllib.request.Request(
                SERVER.url + path, method=method, headers=self.trace.headers
            )
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked).close()
            except urllib.error.HTTPError as error:
                # There is no handler for OPTIONS.
                self.assertEqual((method, error.code), ("OPTIONS", 405))
                error.close()
        self.ask("toy", later)
        self.both(later.wait_for(2), later)
        self.assertEqual(self.trace.spans(), [])


class Arguments(unittest.TestCase):
    def test_wrong_ones(self):
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
    wrong = [] if tests.result.wasSuccessful() else ["a test has failed, see above"]
    if code != 0:
        wrong.append(f"the server's exit code is {code}, not 0")
    if len({span["span_id"] for span in spans}) != len(spans):
        wrong.append("a span has been written twice")
    requests = {span["span_id"] for span in spans if span["name"] == "llm_request"}
    cores = [span["parent_span_id"] for span in spans if span["name"] == "llm_core"]
    if len(requests) + len(cores) != len(spans):
        wrong.append("there are spans of other names")
    if len(set(cores)) != len(cores) or not requests.issuperset(cores):
        wrong.append("not each llm_core has a llm_request of its own")
    for sentence in wrong:
        print(f"clients: {sentence}", file=sys.stderr)
    print(f"{tests.result.testsRun} tests, {len(requests)} requests, {len(spans)} spans")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
