"""Starts the examples and reads the spans that they write."""

import json
import os
import secrets
import signal
import subprocess
import tempfile
import time

# The time limit for every step, in seconds.
TIMEOUT = 10


class Server:
    """An example on a free port."""

    def __init__(self, binary, *arguments):
        self._directory = tempfile.TemporaryDirectory()
        self._file = os.path.join(self._directory.name, "spans.jsonl")
        self._process = subprocess.Popen(
            [binary, "--addr", "127.0.0.1:0", "--spans", self._file, *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline()
        message, _, self.url = line.strip().rpartition(" ")
        assert message == "listening on", f"the first line is {line!r}"

    def hint(self):
        """Returns the next line on stdout."""
        return self._process.stdout.readline()

    def spans(self):
        """Returns the spans written so far, without waiting."""
        with open(self._file, encoding="utf-8") as lines:
            # A line without a line end is still being written.
            return [json.loads(line) for line in lines if line.endswith("\n")]

    def stop(self):
        """Stops the server with SIGINT. Returns its exit code and all its spans."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = "no exit after SIGINT"
        self._process.stdout.close()
        spans = self.spans()
        self._directory.cleanup()
        return code, spans


class Trace:
    """A new trace, which identifies the spans of one request."""

    def __init__(self, server):
        self._server = server
        self.trace_id = secrets.token_hex(16)
        self.span_id = secrets.token_hex(8)
        self.headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-01"}

    def spans(self, server=None):
        """Returns the spans of this trace written so far, without waiting."""
        spans = (server or self._server).spans()
        return [span for span in spans if span["trace_id"] == self.trace_id]

    def wait_for(self, count, server=None):
        """Waits for `count` spans or the time limit. Returns the spans written."""
        until = time.monotonic() + TIMEOUT
        while len(self.spans(server)) < count and time.monotonic() < until:
            time.sleep(0.01)
        return self.spans(server)
