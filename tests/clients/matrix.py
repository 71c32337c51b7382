"""All APIs, clients and ways to end, without and with the gateway. See rows.py."""

import unittest
from concurrent.futures import ThreadPoolExecutor

from apis import APIS
from case import ABORTED, FIRST, HANDOFF, TOKENS, TOOL_CALL_TOKENS, Setup
from drive import drive_async, drive_node, drive_sync
from rows import DEPARTED, FAILED, LEFT, REJECTED, rows_of
from server import Trace
from table import TABLE

# At most so many requests at once. More delay the events that the tests measure.
WORKERS = 6


class Matrix(unittest.TestCase):
    """The test methods are added below."""

    maxDiff = None

    def check(self, api, kind, is_behind_gateway):
        front = Setup.gateway if is_behind_gateway else Setup.llm
        rows = rows_of(api)
        traces = [Trace(front) for _ in rows]
        if kind == "javascript":
            said = drive_node(api, rows, front.url, traces)
        else:
            drive = drive_sync if kind == "python" else drive_async
            with ThreadPoolExecutor(WORKERS) as pool:
                headers = [trace.headers for trace in traces]
                said = list(pool.map(lambda row, headers: drive(api, row, front.url, headers), rows, headers))
        for row, trace, said in zip(rows, traces, said):
            with self.subTest(row.name, mode=row.mode):
                request, core, upstream = self.check_spans(row, trace, is_behind_gateway)
                TABLE.add(api, row, kind, is_behind_gateway, said, request)
                self.check_row(api, row, is_behind_gateway, said, request)
                if is_behind_gateway:
                    self.check_call(api, row, core, upstream)

    def check_spans(self, row, trace, is_behind_gateway):
        """Checks how the spans of a request belong together. Returns that of the request, and behind the gateway
        those of the gateway's call and of the upstream."""
        # A rejected request has no engine's span.
        count = 1 if row.outcome == REJECTED else 2
        spans = by_kind(trace.wait_for(count, Setup.llm), count)
        if count == 2:
            self.assertEqual(spans["INTERNAL"]["parent_span_id"], spans["SERVER"]["span_id"])
        if not is_behind_gateway:
            self.assertEqual(spans["SERVER"]["parent_span_id"], trace.span_id)
            return spans["SERVER"], None, None
        front = by_kind(trace.wait_for(2), 2)
        self.assertEqual(front["SERVER"]["parent_span_id"], trace.span_id)
        self.assertEqual(front["CLIENT"]["parent_span_id"], front["SERVER"]["span_id"])
        self.assertEqual(spans["SERVER"]["parent_span_id"], front["CLIENT"]["span_id"])
        return front["SERVER"], front["CLIENT"], spans["SERVER"]

    def check_call(self, api, row, core, upstream):
        """Checks the gateway's call against the upstream's own span."""
        self.assertEqual(outcome(upstream), row.expected_outcome(api, is_behind_gateway=False))
        if row.outcome == LEFT:
            # The gateway has cancelled its call.
            self.assertEqual(core["attributes"]["upstream.end"], "cancelled")
        if row.model == "toy":
            # A client may leave at the terminator, before the end of the body.
            ends = ["complete", "cancelled"] if row.is_stream and api.has_terminator else ["complete"]
            self.assertIn(core["attributes"]["upstream.end"], ends)
            for key in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
                self.assertEqual(core["attributes"][key], upstream["attributes"].get(key))

    def check_row(self, api, row, is_behind_gateway, said, request):
        if row.said is not None:
            self.assertRegex(said.text, rf"\A(?:{row.said})\Z")
        attributes = request["attributes"]
        expected = row.expected_outcome(api, is_behind_gateway)
        self.assertEqual(outcome(request), expected)
        is_error = expected not in (DEPARTED, REJECTED)
        self.assertEqual(request["status"], "Error" if is_error else "Unset")
        self.assertEqual(attributes["gen_ai.request.model"], row.model)
        self.assertEqual(attributes["gen_ai.request.max_tokens"], 100)
        if expected == FAILED:
            self.check_failure(api, row, is_behind_gateway, request)
        if expected == DEPARTED:
            self.check_success(api, row, request)
        if row.model == "lingers":
            # The span ends at the last event. The response stays open for a second.
            self.assertLess(request["duration"], 0.9)
        if row.leave_after is not None:
            # Three tokens of 200 ms, not all eight.
            self.assertGreater(request["duration"], 0.6)
            self.assertLess(request["duration"], 1.6)
        self.check_first_token(api, row, request)

    def check_failure(self, api, row, is_behind_gateway, request):
        aborted = request["events"][-1]
        self.assertEqual(aborted["name"], ABORTED)
        at = row.model.rpartition("-")[2]
        message = f"the engine failed after {at} tokens"
        self.assertEqual(aborted["attributes"].get("error"), message)
        is_in_band = request["attributes"]["http.response.status_code"] == 200
        code = api.error_code if is_in_band else None
        self.assertEqual(aborted["attributes"].get("code"), code)
        self.assertEqual(request["attributes"].get("api.error.code"), code)

    def check_success(self, api, row, request):
        """Checks what the layer has read from the response."""
        attributes = request["attributes"]
        is_tool_call = row.model == "calls-a-tool"
        for key, expected in {
            "gen_ai.operation.name": api.operation,
            "gen_ai.provider.name": api.provider,
            "gen_ai.response.model": "toy-8w",
            "gen_ai.response.finish_reasons": [api.tool_finish if is_tool_call else api.finish],
        }.items():
            self.assertEqual(attributes.get(key), expected, key)
        self.assertRegex(attributes.get("gen_ai.response.id", ""), r"\Atoy-\d+\Z")
        if row.model == "truncates-at-8":
            return
        for key, expected in {
            "input_tokens": 5,
            "output_tokens": TOOL_CALL_TOKENS if is_tool_call else TOKENS,
            "cache_read.input_tokens": 2,
            "cache_creation.input_tokens": 0 if api.provider == "anthropic" else None,
            "reasoning.output_tokens": None if api.provider == "anthropic" else 0,
        }.items():
            self.assertEqual(attributes.get(f"gen_ai.usage.{key}"), expected, key)

    def check_first_token(self, api, row, request):
        """Checks the time of the first token: it is not that of a keep-alive, a role or a `created` event."""
        first = [event["offset"] for event in request["events"] if event["name"] == FIRST]
        to_first_chunk = request["attributes"].get("gen_ai.response.time_to_first_chunk")
        has_tokens = row.model not in ("fails-at-0", "refuses")
        # An error event alone shows no format, so it counts as any event with data.
        if row.is_stream:
            self.assertEqual(len(first), 1 if has_tokens else 0)
            self.assertEqual(to_first_chunk is not None, has_tokens)
        if row.is_stream and has_tokens:
            self.assertAlmostEqual(first[0], to_first_chunk, delta=0.01)
            handoff = next(event["offset"] for event in request["events"] if event["name"] == HANDOFF)
            pause = {"waits": 0.39, "slow": 0.19}.get(row.model, 0)
            self.assertGreater(first[0], handoff + pause)
            first_byte = request["attributes"]["api.time_to_first_byte"]
            # Completions begin with a token, unless a keep-alive comes first.
            if api.name == "completions" and row.model != "waits":
                self.assertEqual(first[0], first_byte)
            else:
                self.assertGreater(first[0], first_byte)


def outcome(span):
    """Returns the outcome, with its reason."""
    attributes = span["attributes"]
    reason = attributes.get("api.abort.reason")
    return attributes["api.outcome"] + (f"({reason})" if reason else "")


def by_kind(spans, count):
    kinds = {span["kind"]: span for span in spans}
    assert len(kinds) == len(spans) == count, [(span["name"], span["kind"]) for span in spans]
    return kinds


def add_tests():
    for api in APIS:
        for kind in ("python", "python async", "javascript"):
            for is_behind_gateway in (False, True):
                # The ways through the gateway do not depend on whether the client is asynchronous.
                if is_behind_gateway and kind == "python async":
                    continue

                def test(self, api=api, kind=kind, is_behind_gateway=is_behind_gateway):
                    if kind == "javascript" and Setup.node is None:
                        self.skipTest("the JavaScript clients are not installed")
                    self.check(api, kind, is_behind_gateway)

                name = f"{api.key} {kind}{' gateway' if is_behind_gateway else ''}"
                setattr(Matrix, f"test_{name.replace(' ', '_')}", test)


add_tests()
