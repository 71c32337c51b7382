"""HTTP/2, frame by frame: resets, GOAWAY, flow control, CONTINUATION, PRIORITY, padding and invalid frames."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from hyperframe.frame import (
    ContinuationFrame, DataFrame, GoAwayFrame, HeadersFrame, PingFrame, PriorityFrame, SettingsFrame,
)

from http2 import INITIAL_WINDOW, Connection, Over, Stream, reset, window
from report import TABLE, Case, Setup, describe, new_trace, outcome

DEPARTED = "DEPARTED"
LEFT = "ABORTED(client_disconnect)"
FAILED = "ABORTED(exception)"
PANIC = "ABORTED(panic)"
MISMATCH = "ABORTED(length_mismatch)"
INVALID = "ABORTED(validation_error)"

BODY_SIZE = "http.response.body.size"
REQUEST_SIZE = "http.request.body.size"


@dataclass
class Row:
    name: str
    # Sends frames and reads, with a connection and a trace.
    act: object
    # What arrives on stream 1.
    said: str
    # The outcomes of the spans, in any order. Several in a tuple of tuples: one of them.
    outcomes: tuple = (DEPARTED,)
    attributes: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)


def get(path, until=None, then=None, settings=None):
    """Returns an action: a GET, read to a point, and then these frames or a call."""

    def act(it, trace):
        it.send(it.headers(1, path, trace))
        if until is None:
            it.end()
        else:
            until(it)
        if callable(then):
            then(it)
        elif then:
            it.send(*then)
            it.ping()

    return act


def post(path, *data, more=(), finish=lambda it: it.end(), before=()):
    """Returns an action: a POST with DATA frames, of which the last ends the request unless it is a reset."""

    def act(it, trace):
        it.send(*before, it.headers(1, path, trace, "POST", more, ends=False), *data)
        finish(it)

    return act


def data(size, ends=False, padding=None):
    flags = ["END_STREAM"] if ends else []
    flags += ["PADDED"] if padding is not None else []
    return DataFrame(1, b"y" * size, flags=flags, pad_length=padding or 0)


def wait_for_handler(it):
    """Waits until the server has read all, and gives it time to call the handler."""
    it.ping()
    time.sleep(0.3)


def close(it):
    it.close()


def abort(it):
    it.close(is_abortive=True)


def goaway(it):
    it.send(GoAwayFrame(0, last_stream_id=0, error_code=0))


RESETS = [
    Row("RST_STREAM before the head", get("/hangs", wait_for_handler, [reset(1)]), "no head", (LEFT,)),
    Row("RST_STREAM(NO_ERROR) before the head", get("/hangs", wait_for_handler, [reset(1, 0)]), "no head", (LEFT,)),
    Row("RST_STREAM after the head", get("/silent/0", lambda it: it.head(), [reset(1)]), "200, 0 bytes", (LEFT,)),
    Row("RST_STREAM after a DATA frame", get("/silent/9", lambda it: it.bytes(9), [reset(1)]), "200, 9 bytes", (LEFT,),
        {BODY_SIZE: 9}),
    Row("RST_STREAM(NO_ERROR) after a DATA frame", get("/silent/9", lambda it: it.bytes(9), [reset(1, 0)]),
        "200, 9 bytes", (LEFT,)),
    Row("RST_STREAM(INTERNAL_ERROR) after a DATA frame", get("/silent/9", lambda it: it.bytes(9), [reset(1, 2)]),
        "200, 9 bytes", (LEFT,)),
    Row("RST_STREAM after the declared length", get("/declared-silent/9", lambda it: it.bytes(9), [reset(1)]),
        "200, 9 bytes", (DEPARTED,), {BODY_SIZE: 9}),
    Row("RST_STREAM after END_STREAM", get("/bytes/9", None, [reset(1)]), "200, 9 bytes, complete"),
    Row("FIN before the head", get("/hangs", wait_for_handler, close), "no head", (LEFT,)),
    Row("FIN after a DATA frame", get("/silent/9", lambda it: it.bytes(9), close), "200, 9 bytes", (LEFT,)),
    Row("TCP RST before the head", get("/hangs", wait_for_handler, abort), "no head", (LEFT,)),
    Row("TCP RST after a DATA frame", get("/silent/9", lambda it: it.bytes(9), abort), "200, 9 bytes", (LEFT,)),
    Row("TCP RST after END_STREAM", get("/bytes/9", None, abort), "200, 9 bytes, complete"),
    Row("GOAWAY in a response", get("/stream/50/10", lambda it: (it.head(), goaway(it), it.end())),
        "200, 500 bytes, complete", (DEPARTED,), {BODY_SIZE: 500}),
    Row("GOAWAY, then FIN", get("/silent/9", lambda it: (it.bytes(9), goaway(it)), close), "200, 9 bytes", (LEFT,)),
]

RESPONSES = [
    Row("a response", get("/bytes/9"), "200, 9 bytes, complete", (DEPARTED,), {BODY_SIZE: 9}),
    Row("trailers", get("/trailers/9"), "200, 18 bytes, trailers {'x-sum': '9'}, complete", (DEPARTED,),
        {BODY_SIZE: 18}),
    Row("the body fails", get("/fails/9"), "200, 9 bytes, reset INTERNAL_ERROR", (FAILED,), {BODY_SIZE: 9}),
    Row("the body panics", get("/panics/9"), "200, 9 bytes, reset CANCEL", (PANIC,), {BODY_SIZE: 9}),
    Row("fewer bytes than declared", get("/declared/20/9"), "200, 9 bytes, complete", (MISMATCH,), {BODY_SIZE: 9}),
    Row("more bytes than declared", get("/declared/5/9"), "200, 9 bytes, complete", (MISMATCH,), {BODY_SIZE: 9}),
]


def starve(it, trace):
    """The window is 0. hyper polls one frame, and then waits for room."""
    it.send(it.headers(1, "/stream/3/10", trace))
    it.head()
    wait_for_handler(it)
    it.send(reset(1))
    it.ping()


def feed(path):
    def act(it, trace):
        it.send(it.headers(1, path, trace))
        it.head()
        while not it.streams[1].is_complete:
            it.send(window(1, 7))
            it.read()

    return act


def widen(it, trace):
    """The stream's window grows with SETTINGS."""
    it.send(it.headers(1, "/bytes/30", trace))
    it.head()
    it.send(SettingsFrame(0, {INITIAL_WINDOW: 100}))
    it.end()


def stall_midway(it, trace):
    """The server has returned its only frame. The client reads a part of it."""
    it.send(it.headers(1, "/bytes/30", trace))
    it.bytes(10)
    it.send(reset(1))
    it.ping()


def stall_between(it, trace):
    it.send(it.headers(1, "/stream/9/10", trace))
    it.bytes(10)
    it.ping()
    it.send(reset(1))
    it.ping()


NO_WINDOW = {INITIAL_WINDOW: 0}
FLOW = [
    Row("window 0, then RST_STREAM", starve, "200, 0 bytes", (LEFT,), {BODY_SIZE: 10}, NO_WINDOW),
    Row("window 0, then FIN", get("/stream/3/10", lambda it: (it.head(), wait_for_handler(it)), close), "200, 0 bytes",
        (LEFT,), {BODY_SIZE: 10}, NO_WINDOW),
    # The layer has returned the only frame to the server, which holds it: a limit of what a layer can see.
    Row("window 0, one frame, then RST_STREAM", get("/bytes/30", lambda it: it.head(), [reset(1)]), "200, 0 bytes",
        (DEPARTED,), {BODY_SIZE: 30}, NO_WINDOW),
    Row("window 0, then 7 bytes at a time", feed("/stream/3/10"), "200, 30 bytes, complete", (DEPARTED,),
        {BODY_SIZE: 30}, NO_WINDOW),
    Row("window 0, one frame, 7 bytes at a time", feed("/bytes/30"), "200, 30 bytes, complete", (DEPARTED,),
        {BODY_SIZE: 30}, NO_WINDOW),
    Row("window 0, then SETTINGS with 100", widen, "200, 30 bytes, complete", (DEPARTED,), {BODY_SIZE: 30}, NO_WINDOW),
    Row("a third of the only frame, then RST_STREAM", stall_midway, "200, 10 bytes", (DEPARTED,), {BODY_SIZE: 30},
        {INITIAL_WINDOW: 10}),
    Row("the first of nine frames, then RST_STREAM", stall_between, "200, 10 bytes", (LEFT,), {},
        {INITIAL_WINDOW: 10}),
]


def cut(it, frames, is_reset=True):
    """Ends an upload midway."""
    wait_for_handler(it)
    if is_reset:
        it.send(*frames)
        it.ping()
    else:
        it.close()


def request_trailers(it, trace):
    it.send(it.headers(1, "/upload", trace, "POST", [("trailer", "x-sum")], ends=False), data(5),
            it.trailers(1, [("x-sum", "5")]))
    it.end()


LENGTH_9 = [("content-length", "9")]
UPLOADS = [
    Row("an upload", post("/upload", data(5), data(4, True)), "200, 9 bytes, 0 trailers, complete", (DEPARTED,),
        {REQUEST_SIZE: 9}),
    Row("an upload that ends with an empty frame", post("/upload", data(9), data(0, True)), "200, 9 bytes, 0 trailers, complete",
        (DEPARTED,), {REQUEST_SIZE: 9}),
    Row("padded DATA frames", post("/upload", data(5, padding=100), data(4, True, padding=0)),
        "200, 9 bytes, 0 trailers, complete", (DEPARTED,), {REQUEST_SIZE: 9}),
    Row("trailers of the request", request_trailers, "200, 5 bytes, 1 trailers, complete", (DEPARTED,), {REQUEST_SIZE: 5}),
    Row("an upload, RST_STREAM(CANCEL) midway", post("/upload", data(5), finish=lambda it: cut(it, [reset(1)])),
        "no head", (LEFT,), {REQUEST_SIZE: 5}),
    Row("an upload, RST_STREAM(NO_ERROR) midway", post("/upload", data(5), finish=lambda it: cut(it, [reset(1, 0)])),
        "no head", (LEFT,), {REQUEST_SIZE: 5}),
    Row("an upload, FIN midway", post("/upload", data(5), finish=lambda it: cut(it, [], False)), "no head", (LEFT,),
        {REQUEST_SIZE: 5}),
    Row("an upload that is not read", post("/refuses", data(5), finish=lambda it: it.end()), "413, 0 bytes, complete",
        (INVALID,), {REQUEST_SIZE: 0}),
    Row("an echo, RST_STREAM midway", post("/echo", data(5), finish=lambda it: (it.bytes(5), cut(it, [reset(1)]))),
        "200, 5 bytes", (LEFT,), {REQUEST_SIZE: 5, BODY_SIZE: 5}),
    # The length is wrong: a malformed request, and a stream error.
    Row("more bytes than the request's Content-Length", post("/upload", data(20, True), more=LENGTH_9),
        "no head, reset PROTOCOL_ERROR", ((LEFT,), (INVALID,))),
    Row("fewer bytes than the request's Content-Length", post("/upload", data(5, True), more=LENGTH_9),
        "no head, reset PROTOCOL_ERROR", ((LEFT,), (INVALID,))),
]


def continued(size):
    """Returns an action: a request whose block of headers, with `traceparent` in it, is in pieces of this size."""

    def act(it, trace):
        block = it.block("/bytes/9", trace)
        it.streams[1] = Stream()
        pieces = [block[at:at + size] for at in range(size, len(block), size)]
        frames = [ContinuationFrame(1, piece) for piece in pieces]
        frames[-1].flags.add("END_HEADERS")
        it.send(HeadersFrame(1, block[:size], flags=["END_STREAM"]), *frames)
        it.end()

    return act


def prioritized(it, trace):
    headers = it.headers(1, "/bytes/9", trace)
    headers.flags.add("PRIORITY")
    headers.stream_weight, headers.depends_on, headers.exclusive = 10, 0, True
    it.send(PriorityFrame(3, depends_on=0, stream_weight=200), headers, PriorityFrame(1, depends_on=3))
    it.end()


def interleaved(it, trace):
    """One stream is reset while the other goes on."""
    it.send(it.headers(1, "/stream/50/10", trace), it.headers(3, "/silent/9", trace))
    it.head()
    it.bytes(9, 3)
    it.send(reset(3))
    it.end()


def unknown_frames(it, trace):
    unknown = bytes([0, 0, 4, 0xBB, 0, 0, 0, 0, 0]) + b"what"
    it.send(PingFrame(0, b"abcdefgh"), unknown, it.headers(1, "/bytes/9", trace), unknown)
    it.end()


def reset_at_once(it, trace):
    """In one write with the request: the server may not call the service at all."""
    it.send(it.headers(1, "/hangs", trace), reset(1))
    wait_for_handler(it)


def data_on_closed_stream(it, trace):
    it.send(it.headers(1, "/silent/9", trace))
    it.bytes(9)
    it.send(data(5))
    it.end()


def data_without_stream(it, trace):
    """A connection error while a response is open."""
    it.send(it.headers(1, "/silent/9", trace))
    it.bytes(9)
    it.send(DataFrame(99, b"y"))
    it.end()


def upper_case(it, trace):
    it.send(it.headers(1, "/bytes/9", trace, more=[("X-Upper", "no")]))
    it.end()


def overflow(it, trace):
    """A window that overflows is an error of the stream."""
    it.send(it.headers(1, "/silent/9", trace))
    it.bytes(9)
    it.send(window(1, 2**31 - 1))
    it.end()


FRAMES = [
    Row("CONTINUATION", continued(40), "200, 9 bytes, complete", (DEPARTED,), {BODY_SIZE: 9}),
    Row("too many CONTINUATION frames", continued(5), "no head, GOAWAY ENHANCE_YOUR_CALM", ()),
    Row("PRIORITY", prioritized, "200, 9 bytes, complete", (DEPARTED,), {BODY_SIZE: 9}),
    Row("PING and an unknown frame", unknown_frames, "200, 9 bytes, complete", (DEPARTED,), {BODY_SIZE: 9}),
    Row("two streams, one reset", interleaved, "200, 500 bytes, complete", (LEFT, DEPARTED)),
    Row("HEADERS and RST_STREAM in one write", reset_at_once, "no head", ((), (LEFT,))),
    Row("DATA after END_STREAM", data_on_closed_stream, "200, 9 bytes, GOAWAY PROTOCOL_ERROR", (LEFT,)),
    Row("DATA on an idle stream", data_without_stream, "200, 9 bytes, GOAWAY PROTOCOL_ERROR", (LEFT,)),
    Row("WINDOW_UPDATE that overflows", overflow, "200, 9 bytes, reset FLOW_CONTROL_ERROR", (LEFT,)),
    Row("a header's name in upper case", upper_case, "no head, GOAWAY PROTOCOL_ERROR", ()),
]


GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
UNARY, STREAM = "/protocols.Test/Unary", "/protocols.Test/ServerStreaming"
OK = {"grpc-status": "0"}
LATE = "ABORTED(deadline_exceeded)"


def message(text, is_compressed=False, length=None):
    """Returns the prefix and the bytes of a message. The length in the prefix may be wrong."""
    length = len(text) if length is None else length
    return bytes([is_compressed]) + length.to_bytes(4, "big") + text.encode()


def call(path, sent, until=None, then=None, more=(), ends=True, method="POST", kind=GRPC):
    """Returns an action: a call with these bytes as its request, read to a point, and then these frames or a call."""

    def act(it, trace):
        it.send(it.headers(1, path, trace, method, [*kind, *more], ends=False),
                DataFrame(1, sent, flags=["END_STREAM"] if ends else []))
        (until or Connection.end)(it)
        if callable(then):
            then(it)
        elif then:
            it.send(*then)
            it.ping()

    return act


def grpc(name, act, said, expected, code, error_type=None):
    return Row(name, act, said, (expected,), {"rpc.status_code": code, "error.type": error_type})


def first_message(it):
    it.bytes(9)


LEFT_CODE = "CANCELLED"
# Outcomes of codes: docs/guide/grpc.md.
GRPC_CALLS = [
    grpc("a call", call(UNARY, message("hello")), f"200, 10 bytes, trailers {OK}, complete", DEPARTED, "OK"),
    grpc("a call, in two DATA frames", call(UNARY, message("hello")[:7], then=None, ends=False,
         until=lambda it: (it.ping(), it.send(DataFrame(1, message("hello")[7:], flags=["END_STREAM"])), it.end())),
         f"200, 10 bytes, trailers {OK}, complete", DEPARTED, "OK"),
    grpc("a trailers-only response", call(UNARY, message("status 5")), "200, 0 bytes, complete",
         "ABORTED(client_error)", "NOT_FOUND"),
    grpc("RST_STREAM after the trailers", call(UNARY, message("hello"), None, [reset(1)]),
         f"200, 10 bytes, trailers {OK}, complete", DEPARTED, "OK"),
    grpc("RST_STREAM before the head", call(UNARY, message("wait"), wait_for_handler, [reset(1)]), "no head", LEFT,
         LEFT_CODE),
    grpc("RST_STREAM after a message", call(STREAM, message("messages 1 wait"), first_message, [reset(1)]),
         "200, 9 bytes", LEFT, LEFT_CODE),
    grpc("FIN before the head", call(UNARY, message("wait"), wait_for_handler, close), "no head", LEFT, LEFT_CODE),
    grpc("TCP RST after a message", call(STREAM, message("messages 1 wait"), first_message, abort), "200, 9 bytes",
         LEFT, LEFT_CODE),
    # The handler has 300 ms.
    grpc("RST_STREAM after the deadline", call(UNARY, message("wait"), wait_for_handler, [reset(1)],
         [("grpc-timeout", "50m")]), "no head", LATE, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
    grpc("RST_STREAM before the deadline", call(UNARY, message("wait"), wait_for_handler, [reset(1)],
         [("grpc-timeout", "30S")]), "no head", LEFT, LEFT_CODE),
    grpc("RST_STREAM in the request", call(UNARY, message("hello")[:7], wait_for_handler, [reset(1)], ends=False),
         "no head", LEFT, LEFT_CODE),
    # A limit: hyper ends the request's body without an error, and the method answers with INTERNAL.
    grpc("RST_STREAM(NO_ERROR) in the request", call(UNARY, message("hello")[:7], wait_for_handler, [reset(1, 0)],
         ends=False), "no head", FAILED, "INTERNAL", "INTERNAL"),
    grpc("a message that is cut", call(UNARY, message("hello", length=9)), "200, 0 bytes, complete", FAILED,
         "INTERNAL", "INTERNAL"),
    grpc("no message", call(UNARY, b""), "200, 0 bytes, complete", FAILED, "INTERNAL", "INTERNAL"),
    grpc("a compressed message without an encoding", call(UNARY, message("hello", is_compressed=True)),
         "200, 0 bytes, complete", FAILED, "INTERNAL", "INTERNAL"),
    # Plain HTTP: no POST, or another content type.
    grpc("GET", call(UNARY, message("hello"), method="GET"), "405, 0 bytes, complete", "ABORTED(client_error)", None),
    grpc("JSON, answered with gRPC", call(UNARY, message("hello"), kind=[("content-type", "application/json")]),
         f"200, 10 bytes, trailers {OK}, complete", DEPARTED, None),
]


class Frames(Case):
    def check(self, rows):
        traces = [new_trace() for _ in rows]
        with ThreadPoolExecutor(6) as pool:
            seen = list(pool.map(run, rows, traces))
        for row, trace, (said, size) in zip(rows, traces, seen):
            with self.subTest(row.name):
                self.check_row(row, trace, said, size)

    def check_row(self, row, trace, said, size):
        possible = row.outcomes if row.outcomes and isinstance(row.outcomes[0], tuple) else (row.outcomes,)
        if len({len(outcomes) for outcomes in possible}) == 1:
            spans = self.spans_of(trace, len(possible[0]))
        else:
            spans = self.spans_of(trace, len(trace.spans()))
        is_call = row in GRPC_CALLS
        TABLE.add("frames", "gRPC" if is_call else "HTTP/2", row.name, said, spans)
        found = f"{said}; {[describe(span) for span in spans]}"
        self.assertEqual(said, row.said, found)
        self.assertIn(tuple(sorted(map(outcome, spans))), [tuple(sorted(outcomes)) for outcomes in possible], found)
        for span in spans:
            is_grpc = "rpc.system.name" in span["attributes"]
            self.assert_attributes(span, {"network.protocol.version": None if is_grpc else "2", **row.attributes})
        if len(spans) == 1 and not said.startswith("no head") and not is_grpc:
            self.assert_attributes(spans[0], {"http.response.status_code": int(said[:3])})
            # The client cannot have more than the layer has returned to the server.
            self.assertGreaterEqual(spans[0]["attributes"][BODY_SIZE], size, found)

    def test_resets(self):
        self.check(RESETS)

    def test_responses(self):
        self.check(RESPONSES)

    def test_flow_control(self):
        self.check(FLOW)

    def test_uploads(self):
        self.check(UPLOADS)

    def test_frames(self):
        self.check(FRAMES)

    def test_grpc(self):
        self.check(GRPC_CALLS)


def run(row, trace):
    """Returns what arrived on stream 1, and the size of its body."""
    it = Connection(Setup.server.url, row.settings)
    try:
        row.act(it, trace)
    except Over:
        pass
    finally:
        it.close()
    parts = [it.streams[1].text()] + ([f"GOAWAY {it.goaway}"] if it.goaway else [])
    return ", ".join(parts), it.streams[1].size
