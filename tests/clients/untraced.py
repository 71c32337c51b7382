"""Requests without a span, and the command lines."""

import json
import subprocess
import unittest
import urllib.error
import urllib.request

from case import Setup
from chat import ChatCase
from server import Server, Trace


def open_url(request):
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)


class NotTraced(ChatCase):
    def test_models_health_and_options_have_no_span(self):
        # A traced request follows: by the time its spans are written, theirs would be too.
        later = Trace(self.server)
        listed = self.client().models.list(extra_headers=self.trace.headers)
        self.assertIn("toy", [model.id for model in listed])
        for method, path in [("GET", "/health"), ("OPTIONS", "/v1/chat/completions")]:
            request = urllib.request.Request(
                self.server.url + path, method=method, headers=self.trace.headers
            )
            try:
                open_url(request).close()
            except urllib.error.HTTPError as error:
                # No handler accepts OPTIONS.
                self.assertEqual((method, error.code), ("OPTIONS", 405))
                error.close()
        self.request_chat("toy", later)
        self.request_and_engine_span(later.wait_for(2), later)
        self.assertEqual(self.trace.spans(), [])


class Arguments(unittest.TestCase):
    def test_wrong_arguments_give_exit_code_2_and_one_line(self):
        llm = [["--loud"], ["--addr"], ["--addr", "nowhere"], ["--spans"]]
        upstream = ["--upstream", "http://127.0.0.1:1"]
        gateway = [[], ["--upstream"], ["--upstream", "https://api"], ["--upstream", "http://api/v1"]]
        gateway += [[*upstream, *wrong] for wrong in (["--timeout", "-1"], ["--timeout", "soon"], ["--loud"])]
        runs = [(Setup.llm_binary, "llm", wrong) for wrong in llm]
        runs += [(Setup.gateway_binary, "gateway", wrong) for wrong in gateway]
        for binary, name, arguments in runs:
            with self.subTest(name, arguments=arguments):
                ran = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=10)
                self.assertEqual((ran.returncode, ran.stdout), (2, ""))
                self.assertRegex(ran.stderr, rf"\A{name}: .+\n\Z")

    def test_requests_to_try_follow_the_address(self):
        server = Server(Setup.llm_binary)
        hints = [server.hint() for _ in range(3)]
        # A server that answers handles SIGINT.
        open_url(f"{server.url}/health").close()
        self.assertEqual(server.stop()[0], 0)
        for hint, path in zip(hints, ("chat/completions", "responses", "messages")):
            self.assertRegex(hint, rf"\Acurl -N {server.url}/v1/{path} --json '\{{.+\}}'\n\Z")
            body = json.loads(hint.split("'")[1])
            self.assertTrue(body["stream"])

    def test_help_lists_the_options(self):
        for binary in (Setup.llm_binary, Setup.gateway_binary):
            ran = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=10)
            self.assertEqual((ran.returncode, ran.stderr), (0, ""))
            self.assertIn("--spans FILE", ran.stdout)
