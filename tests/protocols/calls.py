"""gRPC, with grpcio in Python and @grpc/grpc-js in JavaScript: the same calls."""

import json
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import grpc

from report import TABLE, Case, Setup, describe, new_trace, outcome

DEPARTED = "DEPARTED"
LEFT = "ABORTED(client_disconnect)"
LATE = "ABORTED(deadline_exceeded)"
PANIC = "ABORTED(panic)"
INVALID, CLIENT_ERROR, FAILED = "ABORTED(validation_error)", "ABORTED(client_error)", "ABORTED(exception)"

# By number: the outcome of a call that the server ends with this code, and whether its span is an error.
CODES = [
    ("OK", DEPARTED, False), ("CANCELLED", LEFT, False), ("UNKNOWN", FAILED, True),
    ("INVALID_ARGUMENT", INVALID, False), ("DEADLINE_EXCEEDED", FAILED, True), ("NOT_FOUND", CLIENT_ERROR, False),
    ("ALREADY_EXISTS", CLIENT_ERROR, False), ("PERMISSION_DENIED", CLIENT_ERROR, False),
    ("RESOURCE_EXHAUSTED", CLIENT_ERROR, False), ("FAILED_PRECONDITION", INVALID, False),
    ("ABORTED", CLIENT_ERROR, False), ("OUT_OF_RANGE", INVALID, False), ("UNIMPLEMENTED", FAILED, True),
    ("INTERNAL", FAILED, True), ("UNAVAILABLE", FAILED, True), ("DATA_LOSS", FAILED, True),
    ("UNAUTHENTICATED", CLIENT_ERROR, False),
]

# The paths, by the kind of call.
PATHS = {
    "unary": "/protocols.Test/Unary",
    "server": "/protocols.Test/ServerStreaming",
    "client": "/protocols.Test/ClientStreaming",
    "both": "/protocols.Test/Bidirectional",
}


@dataclass
class Call:
    name: str
    # "unary", or the side that streams: "server", "client" or "both".
    kind: str
    messages: list
    # The code that the client gets, and the number of messages before it. `None`: not compared.
    code: str
    count: int
    # The span's outcome and code. With `or_left`, the client may also leave before its deadline passes at the server.
    outcome: str
    span_code: str = None
    error_type: str = None
    or_left: bool = False
    # On a cancellation Node.js ends the request before it resets the stream. So the server may answer, and the span of
    # the JavaScript client may be that of a complete call.
    or_ended: bool = False
    path: str = None
    # Milliseconds.
    deadline: int = 5_000
    # Cancels after so many messages. 0: before the response.
    cancel_after: int = None
    # Sends the messages, and does not end the request.
    stays_open: bool = False
    gzip: bool = False
    metadata: dict = field(default_factory=dict)

    @property
    def expected_path(self):
        return self.path or PATHS[self.kind]


def ended(name, kind, messages, count, code="OK", **more):
    """Returns a call that the server ends with this code."""
    expected, is_error = {name: rest for name, *rest in CODES}[code]
    return Call(name, kind, messages, code, count, expected, code, code if is_error else None, **more)


def left(name, kind, messages, cancel_after, **more):
    """Returns a call that the client cancels."""
    return Call(name, kind, messages, "CANCELLED", cancel_after, LEFT, "CANCELLED", cancel_after=cancel_after, **more)


def late(name, kind, messages, count, **more):
    """Returns a call whose deadline passes."""
    code = "DEADLINE_EXCEEDED"
    return Call(name, kind, messages, code, count, LATE, code, code, or_left=True, deadline=1_000, **more)


CALLS = [
    ended("unary", "unary", ["hello"], 1),
    ended("unary, an empty message", "unary", [""], 1),
    ended("unary, 1 MB", "unary", ["x" * 1_000_000], 1),
    ended("unary, with metadata", "unary", ["hello"], 1, metadata={"x-echo": "text", "x-echo-bin": "\x00\x01"}),
    ended("server streaming", "server", ["messages 5"], 5),
    ended("server streaming, no messages", "server", ["messages 0"], 0),
    ended("server streaming, 500 messages", "server", ["messages 500"], 500),
    ended("client streaming", "client", ["one", "two", "three"], 1),
    ended("client streaming, no messages", "client", [], 1),
    ended("bidirectional", "both", ["one", "two", "three"], 3),
    ended("bidirectional, no messages", "both", [], 0),
    ended("a compressed response", "unary", ["hello"], 1, path="/protocols.Test/Compressed"),
    # The server is built without gzip.
    ended("a compressed request", "unary", ["x" * 1_000], 0, "UNIMPLEMENTED", gzip=True),
    # tonic's limit is 4 MiB.
    ended("a request that is too large", "unary", ["x" * 4_500_000], 0, "OUT_OF_RANGE"),
    ended("an unknown method", "unary", ["hello"], 0, "UNIMPLEMENTED", path="/protocols.Test/Unknown"),
    ended("an unknown service", "unary", ["hello"], 0, "UNIMPLEMENTED", path="/protocols.Unknown/Unary"),
    *[ended(f"unary, {code[0]}", "unary", [f"status {number}"], 0, code[0]) for number, code in enumerate(CODES[1:], 1)],
    ended("server streaming, rejected", "server", ["status 3"], 0, "INVALID_ARGUMENT"),
    ended("server streaming, fails midway", "server", ["messages 3 status 13"], 3, "INTERNAL"),
    ended("client streaming, rejected at once", "client", ["status 7"], 0, "PERMISSION_DENIED", stays_open=True),
    ended("bidirectional, fails midway", "both", ["one", "status 14"], 1, "UNAVAILABLE", stays_open=True),
    Call("a panic", "unary", ["panic"], None, 0, PANIC, None, "panic"),
    Call("a panic midway", "server", ["messages 2 panic"], None, None, PANIC, None, "panic"),
    left("unary, cancelled", "unary", ["wait"], 0),
    left("server streaming, cancelled before the response", "server", ["wait"], 0),
    left("server streaming, cancelled midway", "server", ["messages 3 wait"], 3),
    left("client streaming, cancelled", "client", ["wait"], 0, stays_open=True),
    left("client streaming, cancelled before the server answers", "client", ["one"], 0, stays_open=True, or_ended=True),
    left("bidirectional, cancelled", "both", ["one", "two"], 2, stays_open=True, or_ended=True),
    left("bidirectional, cancelled after the request", "both", ["one", "wait"], 1),
    late("unary, the deadline passes", "unary", ["wait"], 0),
    late("server streaming, the deadline passes midway", "server", ["messages 2 wait"], 2),
    late("client streaming, the deadline passes", "client", ["wait"], 0, stays_open=True),
    late("client streaming, the deadline passes before the server answers", "client", ["one"], 0, stays_open=True,
         or_ended=True),
]


@dataclass
class Said:
    """What a client made of a call."""

    code: str
    count: int
    size: int
    details: str = ""
    initial: dict = field(default_factory=dict)
    trailing: dict = field(default_factory=dict)


def drive_python(calls, traces, url):
    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(lambda call, trace: drive_one(call, trace, url), calls, traces))


def drive_one(call, trace, url):
    compression = grpc.Compression.Gzip if call.gzip else None
    with grpc.insecure_channel(urlsplit(url).netloc, compression=compression) as channel:
        methods = {
            "unary": channel.unary_stream, "server": channel.unary_stream,
            "client": channel.stream_stream, "both": channel.stream_stream,
        }
        grpc.channel_ready_future(channel).result(10)
        # A call with a stream of responses can be cancelled and read in all kinds. Without serializers, messages are
        # bytes.
        method = methods[call.kind](call.expected_path)
        over = threading.Event()
        messages = [message.encode() for message in call.messages]
        request = messages[0] if call.kind in ("unary", "server") else send(call, messages, over)
        metadata = [*trace.headers.items(), *call.metadata.items()]
        metadata = [(key, value.encode() if key.endswith("-bin") else value) for key, value in metadata]
        running = method(request, timeout=call.deadline / 1000, metadata=metadata)
        try:
            return read(call, running)
        finally:
            over.set()


def send(call, messages, over):
    yield from messages
    if call.stays_open:
        over.wait(10)


def read(call, running):
    count = size = 0
    if call.cancel_after == 0:
        time.sleep(0.5)
        running.cancel()
    try:
        for message in running:
            count, size = count + 1, size + len(message)
            if count == call.cancel_after:
                running.cancel()
    except grpc.RpcError:
        pass
    code, initial, trailing = running.code(), running.initial_metadata(), running.trailing_metadata()
    return Said(code.name, count, size, running.details() or "", dict(initial or ()), dict(trailing or ()))


def drive_node(calls, traces, url):
    requests = [
        {**asdict(call), "path": call.expected_path, "headers": trace.headers} for call, trace in zip(calls, traces)
    ]
    script = os.path.join(os.path.dirname(__file__), "calls.mjs")
    ran = subprocess.run(
        ["node", script, Setup.node, urlsplit(url).netloc], input=json.dumps(requests), capture_output=True, text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return [Said(**json.loads(line)) for line in ran.stdout.splitlines()]


class Calls(Case):
    def check(self, name, drive):
        traces = [new_trace() for _ in CALLS]
        said = drive(CALLS, traces, Setup.server.url)
        self.assertEqual(len(said), len(CALLS))
        for call, trace, said in zip(CALLS, traces, said):
            with self.subTest(call.name, client=name):
                [span] = self.spans_of(trace)
                count = "1 message" if said.count == 1 else f"{said.count} messages"
                TABLE.add("gRPC", name, call.name, f"{count}, {said.code}", [span])
                self.check_client(call, said, describe(span))
                self.check_span(call, span, call.or_ended and name == "JavaScript")

    def check_client(self, call, said, found):
        # After a panic the server resets the stream. The code is the client's own, which may drop messages.
        if call.code is not None:
            self.assertEqual(said.code, call.code, f"{said}; {found}")
        if call.count is not None:
            self.assertEqual(said.count, call.count, f"{said}; {found}")
        if call.messages and call.messages[-1].startswith("status ") and call.code not in ("OK", None):
            self.assertEqual((said.details, said.trailing.get("x-trailer")), ("as requested", "from the server"))
        if call.code == "OK" and call.kind in ("unary", "both") and call.path is None:
            self.assertEqual(said.size, sum(map(len, call.messages)), "an echo")
        if "x-echo" in call.metadata:
            echoed = [said.initial.get("x-echo"), said.initial.get("x-echo-bin")]
            self.assertIn(echoed, (["text", b"\0\x01"], ["text", "\0\x01"]))

    def check_span(self, call, span, or_ended):
        found = describe(span)
        expected = (call.outcome, call.span_code, call.error_type)
        seen = (outcome(span), *(span["attributes"].get(key) for key in ("rpc.status_code", "error.type")))
        possible = [expected]
        possible += [(LEFT, "CANCELLED", None)] if call.or_left else []
        possible += [(DEPARTED, "OK", None)] if or_ended else []
        self.assertIn(seen, possible, found)
        self.assertEqual(span["status"], "Error" if seen[2] else "Unset", found)
        method = call.expected_path[1:]
        is_known = method != "protocols.Test/Unknown" and "Unknown/" not in method
        self.assertEqual(span["name"], method if is_known else "grpc")
        self.assert_attributes(span, {
            "rpc.system.name": "grpc",
            "rpc.method": method if is_known else "_OTHER",
            "rpc.method_original": None if is_known else method,
            "http.response.status_code": None,
        })

    def test_python(self):
        self.check("Python", drive_python)

    def test_javascript(self):
        self.check("JavaScript", drive_node)
