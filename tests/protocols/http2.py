"""An HTTP/2 client that writes each frame itself, so that it can also write those that no library would."""

import socket
import struct
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import hpack
from hyperframe.frame import (
    DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# RFC 9113, section 7.
CODES = {
    0: "NO_ERROR", 1: "PROTOCOL_ERROR", 2: "INTERNAL_ERROR", 3: "FLOW_CONTROL_ERROR", 5: "STREAM_CLOSED",
    7: "REFUSED_STREAM", 8: "CANCEL", 11: "ENHANCE_YOUR_CALM",
}
INITIAL_WINDOW = SettingsFrame.INITIAL_WINDOW_SIZE


class Over(Exception):
    """The server has closed the connection, or nothing came in time."""


@dataclass
class Stream:
    """What has arrived on a stream."""

    status: int = None
    body: bytes = b""
    trailers: dict = field(default_factory=dict)
    is_complete: bool = False
    reset: str = None

    @property
    def size(self):
        return len(self.body)

    def text(self):
        # The server's filling, and the messages of gRPC, are of no interest.
        is_text = self.body.strip(b"xy") and self.body.isascii() and self.body.decode().isprintable()
        body = self.body.decode() if is_text else f"{self.size} bytes"
        parts = [f"{self.status}, {body}" if self.status else "no head"]
        parts += [f"trailers {self.trailers}"] if self.trailers else []
        parts += ["complete"] if self.is_complete else []
        parts += [f"reset {self.reset}"] if self.reset else []
        return ", ".join(parts)


class Connection:
    def __init__(self, url, settings=None, timeout=5):
        address = urlsplit(url)
        self.authority = address.netloc
        self.socket = socket.create_connection((address.hostname, address.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self._buffer = b""
        self.streams, self.goaway, self.pongs = {}, None, 0
        self.socket.sendall(PREFACE + SettingsFrame(0, settings or {}).serialize())

    def send(self, *frames):
        """Sends frames, or bytes, in one write."""
        self.socket.sendall(b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in frames))

    def block(self, path, trace, method="GET", more=()):
        """Returns the block of a request's headers."""
        pseudo = [(":method", method), (":scheme", "http"), (":path", path), (":authority", self.authority)]
        return self._encoder.encode([*pseudo, *trace.headers.items(), *more])

    def trailers(self, stream, fields):
        return HeadersFrame(stream, self._encoder.encode(fields), flags=["END_HEADERS", "END_STREAM"])

    def headers(self, stream, path, trace, method="GET", more=(), ends=True):
        """Returns the frame that starts a request."""
        self.streams.setdefault(stream, Stream())
        flags = ["END_HEADERS", "END_STREAM"] if ends else ["END_HEADERS"]
        return HeadersFrame(stream, self.block(path, trace, method, more), flags=flags)

    def read(self):
        """Reads a frame, and answers SETTINGS and PING."""
        header = self._take(9)
        frame, length = Frame.parse_frame_header(memoryview(header))
        frame.parse_body(memoryview(self._take(length)))
        stream = self.streams.get(frame.stream_id)
        if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.send(SettingsFrame(0, flags=["ACK"]))
        elif isinstance(frame, PingFrame):
            self.pongs += "ACK" in frame.flags
        elif isinstance(frame, GoAwayFrame):
            self.goaway = CODES.get(frame.error_code, frame.error_code)
        elif isinstance(frame, HeadersFrame):
            self._receive_headers(stream, frame)
        elif isinstance(frame, DataFrame):
            stream.body += frame.data
            stream.is_complete |= "END_STREAM" in frame.flags
        elif isinstance(frame, RstStreamFrame) and stream:
            stream.reset = CODES.get(frame.error_code, frame.error_code)
        return frame

    def _receive_headers(self, stream, frame):
        fields = dict(self._decoder.decode(frame.data))
        if stream.status is None or stream.status < 200:
            stream.status = int(fields[":status"])
        else:
            stream.trailers = fields
        stream.is_complete |= "END_STREAM" in frame.flags

    def _take(self, size):
        while len(self._buffer) < size:
            try:
                read = self.socket.recv(65_536)
            except (TimeoutError, ConnectionError) as error:
                raise Over from error
            if not read:
                raise Over
            self._buffer += read
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def wait(self, is_reached):
        """Reads until `is_reached` returns true. Raises `Over` if the server closes first."""
        while not is_reached():
            self.read()

    def head(self, stream=1):
        self.wait(lambda: self.streams[stream].status)

    def bytes(self, size, stream=1):
        self.wait(lambda: self.streams[stream].size >= size)

    def end(self, stream=1):
        """Reads to the end of a stream, or of the connection."""
        it = self.streams[stream]
        try:
            self.wait(lambda: it.is_complete or it.reset)
        except Over:
            pass

    def ping(self):
        """Waits until the server has read all that was sent before."""
        before = self.pongs
        self.send(PingFrame(0, b"12345678"))
        self.wait(lambda: self.pongs > before)

    def close(self, is_abortive=False):
        if is_abortive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def reset(stream, code=8):
    return RstStreamFrame(stream, code)


def window(stream, size):
    return WindowUpdateFrame(stream, size)
