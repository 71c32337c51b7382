"""examples/gateway, and what it makes of an upstream that fails. matrix.py has the ways to end."""

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager

import openai

from case import ANSWER, ARRIVED, FIRST, HANDOFF, MESSAGES, Case, Setup, new_client
from server import Server


class Gateway(Case):
    @property
    def server(self):
        return Setup.gateway

    def request_chat(self, model, server=None, **options):
        with new_client(openai.OpenAI, (server or self.server).url) as client:
            return client.chat.completions.create(
                model=model, messages=MESSAGES, extra_headers=self.trace.headers, **options
            )

    def both_spans(self, server=None):
        """Returns the span of the request and that of the call to the upstream."""
        spans = self.trace.wait_for(2, server)
        self.assertEqual(sorted(span["name"] for span in spans), ["llm_core", "llm_request"])
        core, request = sorted(spans, key=lambda span: span["name"])
        self.assertEqual((core["kind"], core["parent_span_id"]), ("CLIENT", request["span_id"]))
        self.assert_child_of_caller(request, self.trace)
        return request, core

    @contextmanager
    def gateway(self, upstream, *arguments):
        server = Server(Setup.gateway_binary, "--upstream", upstream, *arguments)
        try:
            yield server
        finally:
            self.assertEqual(server.stop()[0], 0)

    def assert_no_response(self, server, reason, status, error_class, message, model="toy"):
        with self.assertRaises(error_class) as raised:
            self.request_chat(model, server)
        self.assertEqual(raised.exception.status_code, status)
        self.assertEqual(raised.exception.body["type"], reason)
        request, core = self.both_spans(server)
        self.assert_aborted(request, reason, "Error", ARRIVED, HANDOFF, message=message)
        self.assert_attributes(request, {"http.response.status_code": status})
        self.assert_attributes(core, {"error.type": reason, "upstream.end": "failed"})
        self.assertEqual((core["status"], core["description"]), ("Error", message))

    def test_unreachable_upstream_is_502(self):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        with self.gateway(f"http://127.0.0.1:{port}") as server:
            self.assert_no_response(
                server, "upstream_unreachable", 502, openai.InternalServerError,
                "the upstream is unreachable",
            )

    def test_upstream_that_closes_the_connection_is_502(self):
        with closing_upstream() as url, self.gateway(url) as server:
            self.assert_no_response(
                server, "upstream_failed", 502, openai.InternalServerError,
                "the upstream failed before its response",
            )

    def test_upstream_that_does_not_respond_in_time_is_504(self):
        with self.gateway(Setup.llm.url, "--timeout", "0.5") as server:
            self.assert_no_response(
                server, "upstream_timeout", 504, openai.InternalServerError,
                "the upstream has not responded within 0.5 s", model="stalls",
            )
        # The call was cancelled.
        upstream, _ = sorted(self.trace.wait_for(2, Setup.llm), key=lambda span: span["kind"], reverse=True)
        self.assert_attributes(upstream, {"api.abort.reason": "client_disconnect"})

    def test_time_limit_does_not_cut_streams(self):
        with self.gateway(Setup.llm.url, "--timeout", "0.5") as server, \
                new_client(openai.OpenAI, server.url) as client:
            stream = client.chat.completions.create(
                model="slow", messages=MESSAGES, extra_headers=self.trace.headers, stream=True
            )
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            self.assertEqual(text, ANSWER)
            request, _ = self.both_spans(server)
            self.assert_departed(request)

    def test_error_responses_are_passed_on(self):
        for model, error_class, reason, status in [
            ("unknown", openai.NotFoundError, "client_error", 404),
            ("refuses", openai.BadRequestError, "validation_error", 400),
            ("fails-at-0", openai.InternalServerError, "exception", 500),
        ]:
            with self.subTest(model):
                self.setUp()
                with self.assertRaises(error_class) as raised:
                    self.request_chat(model)
                # The upstream's own error, not one of the gateway.
                self.assertIn("code", raised.exception.body)
                request, core = self.both_spans()
                self.assert_attributes(request, {
                    "api.abort.reason": reason, "http.response.status_code": status,
                })
                self.assert_attributes(core, {
                    "http.response.status_code": status, "error.type": str(status), "upstream.end": "complete",
                })

    def test_events_are_passed_on_one_by_one(self):
        with new_client(openai.OpenAI, self.server.url) as client:
            stream = client.chat.completions.create(
                model="slow", messages=MESSAGES, extra_headers=self.trace.headers, stream=True
            )
            times = [time.monotonic() for chunk in stream if chunk.choices[0].delta.content]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        self.assertEqual(len(gaps), 7)
        self.assertGreater(min(gaps), 0.1, gaps)
        request, _ = self.both_spans()
        self.assert_events(request, ARRIVED, HANDOFF, FIRST, "api.DEPARTED")

    def test_client_that_leaves_inside_its_request_is_a_client_disconnect(self):
        address = self.server.url.removeprefix("http://").split(":")
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            f"content-length: 1000\r\ntraceparent: {self.trace.headers['traceparent']}\r\n\r\n"
        )
        with socket.create_connection((address[0], int(address[1]))) as connection:
            connection.sendall(head.encode() + b'{"model": "toy"')
            time.sleep(0.1)
        request, core = self.both_spans()
        self.assert_attributes(request, {"api.abort.reason": "client_disconnect"})
        self.assert_attributes(core, {"upstream.end": "cancelled", "error.type": None})

    def test_headers_of_a_connection_and_of_the_trace_are_not_passed_on(self):
        with echoing_upstream() as url, self.gateway(url) as server:
            # Not urllib, which replaces `Connection`.
            connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
            connection.request("GET", "/v1/echo?key=value", headers={
                **self.trace.headers,
                "tracestate": "vendor=1",
                "connection": "close, x-hop",
                "x-hop": "1",
                "keep-alive": "timeout=5",
                "proxy-authorization": "secret",
                "te": "trailers",
                "x-kept": "1",
            })
            with connection.getresponse() as response:
                received, headers = json.load(response), dict(response.getheaders())
            connection.close()
            _, core = self.both_spans(server)
        self.assertEqual(received.pop("line"), "GET /v1/echo?key=value HTTP/1.1")
        self.assertEqual(received["x-kept"], "1")
        self.assertEqual(received["host"], url.removeprefix("http://"))
        self.assertEqual(
            received["traceparent"], f"00-{self.trace.trace_id}-{core['span_id']}-01"
        )
        self.assertEqual(received["tracestate"], "vendor=1")
        for name in ("connection", "x-hop", "keep-alive", "proxy-authorization", "te"):
            self.assertNotIn(name, received)
        names = {name.lower() for name in headers}
        self.assertIn("x-answer", names)
        self.assertFalse(names & {"x-hop-answer", "keep-alive", "proxy-authenticate"}, names)


@contextmanager
def upstream(serve):
    """Starts a server on a free port, which calls `serve` with each connection. Returns its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def closing_upstream():
    """Starts a server that reads a request and closes the connection."""
    return upstream(lambda connection: connection.recv(65536))


def echoing_upstream():
    """Starts a server that returns the head of a request as JSON."""

    def serve(connection):
        line, *lines = connection.recv(65536).decode().partition("\r\n\r\n")[0].split("\r\n")
        head = dict(one.lower().split(": ", 1) for one in lines)
        body = json.dumps({**head, "line": line})
        connection.sendall((
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close, x-hop-answer\r\n"
            "x-hop-answer: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nx-answer: 1\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}"
        ).encode())

    return upstream(serve)
