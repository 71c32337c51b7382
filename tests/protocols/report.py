"""The checks that all clients share, and the table of what clients saw and spans recorded."""

import os
import sys
import unittest

# The server and the traces are those of the tests with clients of LLM APIs.
sys.path.insert(0, os.path.join(os.path.dirname(__file__), os.pardir, "clients"))

from server import Trace  # noqa: E402

# Requests to the local server bypass any proxy.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"


class Setup:
    """Set by check.py."""

    server = None
    # The folder with the JavaScript client.
    node = None


def outcome(span):
    attributes = span["attributes"]
    reason = attributes.get("api.abort.reason")
    return attributes["api.outcome"] + (f"({reason})" if reason else "")


def describe(span):
    """Returns the cell of a span, for the table."""
    attributes = span["attributes"]
    parts = [outcome(span), span["status"]]
    for key, form in {
        "http.response.status_code": "{}",
        "rpc.method": "{}",
        "rpc.status_code": "{}",
        "http.request.body.size": "{} bytes in",
        "http.response.body.size": "{} bytes out",
    }.items():
        if key in attributes:
            parts.append(form.format(attributes[key]))
    if error := attributes.get("error.type"):
        parts.append(f"error.type {error}")
    return "; ".join(parts)


class Table:
    def __init__(self):
        # By tool and case: what was seen, and the clients that saw it.
        self._cells = {}

    def add(self, tool, client, case, said, spans):
        span = " / ".join(sorted({describe(span) for span in spans})) or "no span"
        clients = self._cells.setdefault((tool, case), {}).setdefault((said, span), [])
        clients.append(client)

    def text(self):
        """Returns the table as Markdown, with one line for all clients that saw the same."""
        lines = ["| tool | case | client | it saw | the span |", "|---|---|---|---|---|"]
        for (tool, case), seen in self._cells.items():
            for (said, span), clients in seen.items():
                cells = [tool, case, ", ".join(sorted(clients)), said, span]
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join(lines) + "\n"


TABLE = Table()


class Case(unittest.TestCase):
    maxDiff = None

    def spans_of(self, trace, count=1):
        """Waits for the spans of a trace, and checks what holds for every span."""
        spans = trace.wait_for(count)
        self.assertEqual(len(spans), count, "number of spans")
        for span in spans:
            self.assertEqual(span["kind"], "SERVER")
            self.assertEqual(span["parent_span_id"], trace.span_id)
            self.assert_well_formed(span)
        return spans

    def assert_well_formed(self, span):
        attributes, events = span["attributes"], [event["name"] for event in span["events"]]
        self.assertEqual(events[0], "api.ARRIVED")
        self.assertEqual(events[-1], "api." + attributes["api.outcome"])
        self.assertEqual(len([name for name in events if name in ("api.DEPARTED", "api.ABORTED")]), 1)
        self.assertEqual("error.type" in attributes, span["status"] == "Error")
        self.assertEqual("api.abort.reason" in attributes, attributes["api.outcome"] == "ABORTED")

    def assert_attributes(self, span, expected):
        found = {key: span["attributes"].get(key) for key in expected}
        self.assertEqual(found, expected)


def new_trace():
    return Trace(Setup.server)
