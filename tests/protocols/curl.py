"""curl, over HTTP/1.0, HTTP/1.1 and HTTP/2 with prior knowledge."""

import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from report import TABLE, Case, Setup, describe, new_trace, outcome

ALL = ("1.0", "1.1", "2")
FLAGS = {"1.0": "--http1.0", "1.1": "--http1.1", "2": "--http2-prior-knowledge"}

DEPARTED = "DEPARTED"
LEFT = "ABORTED(client_disconnect)"
CLIENT_ERROR = "ABORTED(client_error)"
INVALID = "ABORTED(validation_error)"
FAILED = "ABORTED(exception)"
PANIC = "ABORTED(panic)"
MISMATCH = "ABORTED(length_mismatch)"

# curl's exit codes.
PARTIAL, HTTP_ERROR, TIMED_OUT, NO_REPLY, TOO_LARGE, STREAM = 18, 22, 28, 52, 63, 92


@dataclass
class Row:
    name: str
    path: str
    outcome: str
    arguments: list = field(default_factory=list)
    # The possible exit codes, the status and the number of bytes. `None`: not compared.
    exits: tuple = (0,)
    status: int = 200
    size: int = None
    versions: tuple = ALL
    # Expected attributes, and the text of the body.
    attributes: dict = field(default_factory=dict)
    text: str = None


UPLOAD = 300_000
BODY_SIZE = "http.response.body.size"
REQUEST_SIZE = "http.request.body.size"
EXPECT = ["-H", "Expect: 100-continue"]


def rows(upload):
    """Returns the rows. `upload` is the path of a file with `UPLOAD` bytes."""
    put = ["-T", upload]
    later = ("1.1", "2")
    return [
        Row("GET", "/bytes/1000", DEPARTED, size=1000, attributes={BODY_SIZE: 1000}),
        Row("GET, 3 MB", "/bytes/3000000", DEPARTED, size=3_000_000, attributes={BODY_SIZE: 3_000_000}),
        Row("GET, empty", "/bytes/0", DEPARTED, size=0, attributes={BODY_SIZE: 0}),
        Row("GET, a stream", "/stream/5/100", DEPARTED, size=500, attributes={BODY_SIZE: 500}),
        Row("HEAD", "/bytes/1000", DEPARTED, ["-I"], size=0, attributes={"http.request.method": "HEAD"}),
        Row("HEAD, endless", "/silent/5", DEPARTED, ["-I"], size=0),
        Row("204", "/status/204", DEPARTED, status=204, size=0),
        Row("304", "/status/304", DEPARTED, status=304, size=0),
        Row("404", "/status/404", CLIENT_ERROR, status=404, size=8),
        Row("404, --fail", "/status/404", CLIENT_ERROR, ["--fail"], (HTTP_ERROR,), 404),
        Row("422", "/status/422", INVALID, status=422, size=8),
        Row("503", "/status/503", FAILED, status=503, size=8, attributes={"error.type": "503"}),
        Row("a range", "/file", DEPARTED, ["-r", "0-99"], status=206, size=100, attributes={BODY_SIZE: 100}),
        Row("a range from the end", "/file", DEPARTED, ["-r", "-7"], status=206, size=7, attributes={BODY_SIZE: 7}),
        Row("a range that is not there", "/file", CLIENT_ERROR, ["-r", "999999-"], status=416),
        Row("--limit-rate", "/bytes/100000", DEPARTED, ["--limit-rate", "300k"], size=100_000),
        Row("trailers", "/trailers/100", DEPARTED, size=200, attributes={BODY_SIZE: 200}),
        Row("--max-time before the head", "/hangs", LEFT, ["--max-time", "1"], (TIMED_OUT,), 0, 0),
        Row("--max-time in a silent body", "/silent/10", LEFT, ["--max-time", "1"], (TIMED_OUT,), size=10),
        Row("--max-time in an endless body", "/endless/1000", LEFT, ["--max-time", "1"], (TIMED_OUT,)),
        # The server has the whole response when curl refuses its length.
        Row("--max-filesize", "/bytes/1000", DEPARTED, ["--max-filesize", "100"], (TOO_LARGE,), attributes={BODY_SIZE: 1000}),
        # All declared bytes have arrived, although the server holds the response open.
        Row("the declared length, then silence", "/declared-silent/10", DEPARTED, size=10, versions=("1.0", "1.1")),
        Row("the declared length, then silence", "/declared-silent/10", DEPARTED, ["--max-time", "1"],
            (0, TIMED_OUT), size=10, versions=("2",)),
        Row("fewer bytes than declared", "/declared/20/10", MISMATCH, exits=(PARTIAL,), versions=("1.0", "1.1")),
        # Without a status if the head and the end of the stream arrive together.
        Row("fewer bytes than declared", "/declared/20/10", MISMATCH, exits=(STREAM,), status=None, versions=("2",)),
        Row("the body fails", "/fails/10", FAILED, exits=(PARTIAL, STREAM), size=10, versions=later,
            attributes={"error.type": "exception"}),
        # In HTTP/1.0 the end of the connection is the end of the message, also after an error.
        Row("the body fails", "/fails/10", FAILED, size=10, versions=("1.0",)),
        Row("the body panics", "/panics/10", PANIC, exits=(PARTIAL, STREAM), size=10, versions=later),
        Row("POST", "/upload", DEPARTED, ["--data-binary", f"@{upload}"], text=f"{UPLOAD} bytes, 0 trailers",
            attributes={REQUEST_SIZE: UPLOAD}),
        Row("PUT", "/upload", DEPARTED, put, text=f"{UPLOAD} bytes, 0 trailers", attributes={REQUEST_SIZE: UPLOAD}),
        Row("PUT, chunked", "/upload", DEPARTED, [*put, "-H", "Transfer-Encoding: chunked"],
            text=f"{UPLOAD} bytes, 0 trailers", versions=("1.1",), attributes={REQUEST_SIZE: UPLOAD}),
        Row("an echo", "/echo", DEPARTED, ["--data-binary", f"@{upload}"], size=UPLOAD,
            attributes={REQUEST_SIZE: UPLOAD, BODY_SIZE: UPLOAD}),
        Row("an upload that is cut", "/upload", LEFT, [*put, "--limit-rate", "50k", "--max-time", "1"],
            (TIMED_OUT,), None, 0),
        Row("100-continue", "/upload", DEPARTED, [*put, *EXPECT], text=f"{UPLOAD} bytes, 0 trailers",
            versions=later, attributes={REQUEST_SIZE: UPLOAD}),
        Row("100-continue, refused", "/refuses", INVALID, ["--data-binary", f"@{upload}", *EXPECT], status=413,
            versions=("1.1",), attributes={REQUEST_SIZE: 0}),
        # The server resets the stream with NO_ERROR after its response, as RFC 9113, 8.1 allows. Some versions of
        # curl then lose the response.
        Row("100-continue, refused", "/refuses", INVALID, ["--data-binary", f"@{upload}", *EXPECT], (0, NO_REPLY), None,
            versions=("2",), attributes={REQUEST_SIZE: 0, "http.response.status_code": 413}),
    ]


class Curl(Case):
    def check(self, version):
        with tempfile.NamedTemporaryFile() as file, ThreadPoolExecutor(6) as pool:
            file.write(b"y" * UPLOAD)
            file.flush()
            selected = [row for row in rows(file.name) if version in row.versions]
            traces = [new_trace() for _ in selected]
            ran = list(pool.map(lambda row, trace: run(version, row, trace), selected, traces))
        for row, trace, (code, text, seen) in zip(selected, traces, ran):
            with self.subTest(row.name, version=version):
                [span] = self.spans_of(trace)
                said = f"exit {code}, {seen['http_code']}, {seen['size_download']} bytes"
                TABLE.add("curl", f"HTTP/{version}", row.name, said, [span])
                self.check_row(version, row, span, code, text, seen)

    def check_row(self, version, row, span, code, text, seen):
        said = f"exit {code}, {seen['http_code']}, {seen['size_download']} bytes; {describe(span)}"
        self.assertIn(code, row.exits, said)
        if row.status is not None:
            self.assertEqual(seen["http_code"], row.status, said)
        if row.size is not None:
            self.assertEqual(seen["size_download"], row.size, said)
        if row.text is not None:
            self.assertEqual(text, row.text)
        self.assertEqual(outcome(span), row.outcome, said)
        self.assert_attributes(span, {"network.protocol.version": version, **row.attributes})
        if seen["http_code"] >= 200:
            self.assert_attributes(span, {"http.response.status_code": seen["http_code"]})
            # curl cannot have more than the layer has returned to the server.
            self.assertGreaterEqual(span["attributes"][BODY_SIZE], seen["size_download"])
        has_body = "-I" not in row.arguments and row.status not in (204, 304)
        if code == 0 and has_body:
            self.assert_attributes(span, {BODY_SIZE: seen["size_download"]})

    def test_http_1_0(self):
        self.check("1.0")

    def test_http_1_1(self):
        self.check("1.1")

    def test_http_2(self):
        self.check("2")

    def test_one_connection(self):
        """Each request on a connection has its span."""
        trace = new_trace()
        urls = [f"{Setup.server.url}/stream/20/100", f"{Setup.server.url}/status/404"]
        outputs = [argument for _ in urls for argument in ("-o", "/dev/null")]
        command = ["curl", "-s", "--http1.1", *headers(trace), *outputs, *urls]
        ran = subprocess.run([*command, "-w", "%{http_code} %{size_download} %{num_connects}\n"],
                             capture_output=True, text=True, timeout=20)
        self.assertEqual(ran.stdout.splitlines(), ["200 2000 1", "404 8 0"])
        spans = self.spans_of(trace, 2)
        TABLE.add("curl", "HTTP/1.1", "two requests on a connection", "200, 2000 bytes; 404, 8 bytes", spans)
        self.assertEqual(sorted(map(outcome, spans)), [CLIENT_ERROR, DEPARTED])


def headers(trace):
    return [argument for pair in trace.headers.items() for argument in ("-H", ": ".join(pair))]


def run(version, row, trace):
    """Returns curl's exit code, the body as text, and what curl reports of the transfer."""
    url = Setup.server.url + row.path
    command = ["curl", "-s", FLAGS[version], *headers(trace), *row.arguments, url, "-w", "\n%{json}"]
    ran = subprocess.run(command, capture_output=True, timeout=20)
    text, _, seen = ran.stdout.decode().rpartition("\n")
    return ran.returncode, text, json.loads(seen)
