"""What the tests share: the servers, the clients, and checks of spans."""

import os
import unittest

import anthropic
import openai

from server import Trace

# Requests to the local servers bypass any proxy.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"

MESSAGES = [{"role": "user", "content": "Answer in eight short words."}]
ANSWER = "This answer always has the same eight words."
TOKENS = 8
# The name and the arguments, which contain the end of a stream.
TOOL_CALL = 'look_up{"word":"data: [DONE]"}'
TOOL_CALL_TOKENS = 3

ARRIVED = "api.ARRIVED"
HANDOFF = "api.HANDOFF_TO_CORE"
FIRST = "api.FIRST_RESPONSE_FROM_CORE"
DEPARTED = "api.DEPARTED"
ABORTED = "api.ABORTED"


class Setup:
    """Set by check.py."""

    # The paths of the examples.
    llm_binary = gateway_binary = None
    # examples/llm, and examples/gateway in front of it.
    llm = gateway = None
    # The folder with the JavaScript clients, if they are installed.
    node = None


def new_client(kind, url, **options):
    """Returns a client of one of the packages."""
    # No retries: each would add a span.
    options = {"max_retries": 0, "timeout": 10, **options}
    if kind in (openai.OpenAI, openai.AsyncOpenAI):
        url += "/v1"
    return kind(base_url=url, api_key="none", **options)


class Case(unittest.TestCase):
    maxDiff = None

    @property
    def server(self):
        return Setup.llm

    def setUp(self):
        self.trace = Trace(self.server)

    def client(self, kind=openai.OpenAI, **options):
        new = new_client(kind, self.server.url, **options)
        self.addCleanup(new.close)
        return new

    def anthropic(self, **options):
        return self.client(anthropic.Anthropic, **options)

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

    def assert_aborted(self, request, reason, status, *names, message=None, code=None):
        self.assert_events(request, *names, ABORTED)
        expected = {"reason": reason, "error": message, "code": code}
        expected = {key: value for key, value in expected.items() if value is not None}
        self.assertEqual(request["events"][-1]["attributes"], expected)
        self.assert_attributes(request, {
            "api.outcome": "ABORTED", "api.abort.reason": reason, "api.error.code": code,
        })
        self.assertEqual(request["status"], status)
        self.assertEqual(request["description"], message or "")
        error_type = request["attributes"].get("error.type")
        self.assertEqual(error_type, reason if status == "Error" else None)

    def assert_attributes(self, span, attributes):
        found = {key: span["attributes"].get(key) for key in attributes}
        self.assertEqual(found, attributes)
