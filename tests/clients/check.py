"""Checks the spans of requests from clients' libraries to the examples. Started by tests/clients/run."""

import argparse
import sys
import unittest

import chat
import gateway
import matrix
import messages
import responses
import untraced
from case import Setup
from server import Server
from table import TABLE

MODULES = [chat, responses, messages, gateway, untraced, matrix]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("llm")
    arguments.add_argument("gateway")
    arguments.add_argument("--node", help="the folder with the JavaScript clients")
    arguments.add_argument("--table", help="the file for the table")
    arguments, rest = arguments.parse_known_args()
    Setup.llm_binary, Setup.gateway_binary, Setup.node = arguments.llm, arguments.gateway, arguments.node
    Setup.llm = Server(arguments.llm)
    Setup.gateway = Server(arguments.gateway, "--upstream", Setup.llm.url)
    # The tests can be selected by their class, such as `Streams`.
    for module in MODULES:
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__:
                globals()[name] = value
    try:
        tests = unittest.main(argv=[sys.argv[0], *rest], exit=False)
    finally:
        stopped = {"gateway": Setup.gateway.stop(), "llm": Setup.llm.stop()}
    faults = [] if tests.result.wasSuccessful() else ["a test has failed, see above"]
    for name, (code, spans) in stopped.items():
        faults += [f"{name}: {fault}" for fault in check_all(code, spans)]
    for fault in faults:
        print(f"clients: {fault}", file=sys.stderr)
    print(TABLE.text())
    if arguments.table:
        with open(arguments.table, "w", encoding="utf-8") as file:
            file.write(TABLE.text())
    requests = sum(span["name"] == "llm_request" for span in stopped["llm"][1])
    written = sum(len(spans) for _, spans in stopped.values())
    print(f"{tests.result.testsRun} tests, {requests} requests, {written} spans")
    return 1 if faults else 0


def check_all(code, spans):
    """Checks all spans of a server. Returns the faults."""
    if code != 0:
        yield f"the exit code is {code}, not 0"
    if len({span["span_id"] for span in spans}) != len(spans):
        yield "a span has been written twice"
    requests = {span["span_id"] for span in spans if span["name"] == "llm_request"}
    cores = [span["parent_span_id"] for span in spans if span["name"] == "llm_core"]
    if len(requests) + len(cores) != len(spans):
        yield "there are spans with other names"
    if len(set(cores)) != len(cores) or not requests.issuperset(cores):
        yield "the llm_core spans are not children of distinct llm_request spans"


if __name__ == "__main__":
    sys.exit(main())
