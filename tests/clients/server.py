"""The example as a server, and the spans that it writes."""

import json
import os
import secrets
import signal
import subprocess
import tempfile
import time

# How long anything may take before it counts as never coming.
PATIENCE = 5


class Server:
    """The example on a free port."""

    def __init__(self, binary):
        self._directory = tempfile.TemporaryDirectory()
        self._file = os.path.join(self._directory.name, "spans.jsonl")
        self._process = subprocess.Popen(
            [binary, "--addr", "127.0.0.1:0", "--spans", self._file],
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline()
        told, _, self.url = line.strip().rpartition(" ")
        assert told == "listening on", f"the first line is {line!r}"

    def spans(self):
        """What has been written up to now, without waiting."""
        with open(self._file, encoding="utf-8") as lines:
            # A line without its end is still being written.
            return [json.loads(line) for line in lines if line.endswith("\n")]

    def stop(self):
        """Stops it as Ctrl-C does; gives its exit code and all its spans."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = "no exit after SIGINT"
        self._process.stdout.close()
        spans = self.spans()
        self._directory.cleanup()
        return code, spans


class Trace:
    """A trace of a client's own, so that its request's spans can be told from others."""

    def __init__(self, server):
        self._server = server
        self.trace_id = secrets.token_hex(16)
        self.span_id = secrets.token_hex(8)
        self.headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-01"}

    def spans(self):
        """Those that have ended up to now, without waiting."""
        spans = self._server.spans()
        return [span for span in spans if span["trace_id"] == self.trace_id]

    def wait_for(self, count):
        """Waits until as many spans have ended; gives what there is if they do not."""
        until = time.monotonic() + PATIENCE
        while len(self.spans()) < count and time.monotonic() < until:
            time.sleep(0.01)
        return self.spans()
