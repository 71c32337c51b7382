"""The clients in Node.js: `fetch`, over HTTP/1.1, and the module http2."""

import json
import os
import subprocess
from dataclasses import asdict, dataclass, field

from report import TABLE, Case, Setup, describe, new_trace, outcome

DEPARTED = "DEPARTED"
LEFT = "ABORTED(client_disconnect)"
UNREAD = "ABORTED(generator_exit)"
CLIENT_ERROR = "ABORTED(client_error)"
FAILED = "ABORTED(exception)"
MISMATCH = "ABORTED(length_mismatch)"

BODY_SIZE = "http.response.body.size"
REQUEST_SIZE = "http.request.body.size"
TOOLS = {"1.1": "fetch", "2": "node:http2"}


@dataclass
class Row:
    name: str
    path: str
    # What the client saw: the status, the bytes (`None`: not compared) and "complete", "left" or "broken".
    status: int
    size: int
    ending: str
    outcome: str
    attributes: dict = field(default_factory=dict)
    method: str = "GET"
    # The size of the request's body, which does not end if it stalls.
    upload: int = None
    stalls: bool = False
    # When the client leaves: after milliseconds, at the head, or after so many bytes.
    abort_after: int = None
    cancels: bool = False
    leave_after: int = None
    # Closes the connection, and not only the stream.
    destroys: bool = False
    protocols: tuple = ("1.1", "2")


def left(name, path, status, size, **more):
    return Row(name, path, status, size, "left", LEFT, **more)


ROWS = [
    Row("GET", "/bytes/1000", 200, 1000, "complete", DEPARTED, {BODY_SIZE: 1000}),
    Row("GET, 1 MB", "/bytes/1000000", 200, 1_000_000, "complete", DEPARTED, {BODY_SIZE: 1_000_000}),
    Row("GET, a stream", "/stream/20/10", 200, 200, "complete", DEPARTED, {BODY_SIZE: 200}),
    Row("HEAD", "/bytes/1000", 200, 0, "complete", DEPARTED, method="HEAD"),
    Row("204", "/status/204", 204, 0, "complete", DEPARTED),
    Row("404", "/status/404", 404, 8, "complete", CLIENT_ERROR),
    Row("trailers", "/trailers/9", 200, 18, "complete", DEPARTED, {BODY_SIZE: 18}),
    Row("POST", "/upload", 200, 22, "complete", DEPARTED, {REQUEST_SIZE: 1000}, upload=1000),
    Row("an echo", "/echo", 200, 70_000, "complete", DEPARTED, {REQUEST_SIZE: 70_000, BODY_SIZE: 70_000}, upload=70_000),
    Row("the body fails", "/fails/9", 200, None, "broken", FAILED, {"error.type": "exception"}),
    Row("fewer bytes than declared", "/declared/20/9", 200, None, "broken", MISMATCH, protocols=("1.1",)),
    left("aborted before the head", "/hangs", 0, 0, abort_after=500),
    left("aborted midway", "/silent/9", 200, 9, abort_after=800),
    left("the body is cancelled at the head", "/silent/0", 200, 0, cancels=True),
    left("the body is left after some bytes", "/endless/100", 200, None, leave_after=300),
    left("an upload is aborted", "/upload", 0, 0, upload=500, stalls=True, abort_after=500, protocols=("1.1",),
         attributes={REQUEST_SIZE: 500}),
    left("the connection is closed before the head", "/hangs", 0, 0, abort_after=500, destroys=True, protocols=("2",)),
    left("the connection is closed midway", "/endless/100", 200, None, leave_after=300, destroys=True, protocols=("2",)),
    # Node.js ends the request before it resets the stream, so the server may answer it. The body of the response may be
    # polled or not before the server has read the reset.
    Row("an upload is aborted", "/upload", None, None, "left", (LEFT, DEPARTED, UNREAD), {REQUEST_SIZE: 500}, upload=500,
        stalls=True, abort_after=500, protocols=("2",)),
]


class Fetch(Case):
    def test_fetch(self):
        self.check("1.1")

    def test_http2_module(self):
        self.check("2")

    def check(self, protocol):
        rows = [row for row in ROWS if protocol in row.protocols]
        traces = [new_trace() for _ in rows]
        seen = run(rows, traces, protocol)
        self.assertEqual(len(seen), len(rows))
        for row, trace, seen in zip(rows, traces, seen):
            with self.subTest(row.name, protocol=protocol):
                [span] = self.spans_of(trace)
                said = f"{seen['status'] or 'no head'}, {seen['size']} bytes, {seen['ending']}"
                TABLE.add("Node.js", TOOLS[protocol], row.name, said, [span])
                self.check_row(row, protocol, seen, span)

    def check_row(self, row, protocol, seen, span):
        found = f"{seen}; {describe(span)}"
        for name in ("status", "size", "ending"):
            expected = getattr(row, name)
            if expected is not None:
                self.assertEqual(seen[name], expected, found)
        self.assertIn(outcome(span), [row.outcome] if isinstance(row.outcome, str) else row.outcome, found)
        self.assert_attributes(span, {"network.protocol.version": protocol, **row.attributes})
        if seen["status"]:
            self.assert_attributes(span, {"http.response.status_code": seen["status"]})
            # The client cannot have more than the layer has returned to the server.
            self.assertGreaterEqual(span["attributes"][BODY_SIZE], seen["size"], found)


def run(rows, traces, protocol):
    """Returns what the client saw of each request."""
    requests = [
        {**asdict(row), "protocol": protocol, "headers": trace.headers} for row, trace in zip(rows, traces)
    ]
    script = os.path.join(os.path.dirname(__file__), "fetch.mjs")
    ran = subprocess.run(
        ["node", script, Setup.server.url], input=json.dumps(requests), capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]
