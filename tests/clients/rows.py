"""The rows of the matrix: how a response can end, and what is expected of the span."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str
    model: str
    is_stream: bool
    # The outcome of the request's span, and where it differs: by API, and behind the gateway.
    outcome: str
    outcome_by_api: tuple = ()
    outcome_behind_gateway: str = None
    outcome_by_api_behind_gateway: tuple = ()
    # What a client makes of it. `None`: it differs between clients and is not checked.
    said: str = None
    timeout: float = 10
    # The APIs that have no such response.
    without: tuple = ()
    # The client leaves after so many tokens.
    leave_after: int = None
    # The client leaves at the event that ends the stream.
    leave_at_end: bool = False

    @property
    def mode(self):
        return "stream" if self.is_stream else "whole"

    def leaves(self, api, event, pieces):
        tokens = sum(1 for piece in pieces if piece)
        return tokens == self.leave_after or (self.leave_at_end and api.is_last(event))

    def expected_outcome(self, api, is_behind_gateway):
        if is_behind_gateway and self.outcome_behind_gateway:
            return dict(self.outcome_by_api_behind_gateway).get(api.key, self.outcome_behind_gateway)
        return dict(self.outcome_by_api).get(api.key, self.outcome)


DEPARTED = "DEPARTED"
FAILED = "ABORTED(generation_error)"
TRUNCATED = "ABORTED(truncated_stream)"
LEFT = "ABORTED(client_disconnect)"
BROKEN = "ABORTED(exception)"
CUT = "ABORTED(length_mismatch)"
REJECTED = "ABORTED(validation_error)"
ALL = "the answer"

STREAMS = [
    Row("success", "toy", True, DEPARTED, said=ALL),
    Row("tool call", "calls-a-tool", True, DEPARTED, said="the tool call", without=("completions",)),
    Row("failure in-band", "fails-at-3", True, FAILED, said="3 of 8 tokens, .*engine failed after 3 tokens.*"),
    Row("failure first", "fails-at-0", True, FAILED, said="0 of 8 tokens, .*engine failed after 0 tokens.*"),
    Row("truncation", "truncates-at-3", True, TRUNCATED),
    # Only the terminator is missing: each choice has its finish reason.
    Row(
        "truncation at the end", "truncates-at-8", True, TRUNCATED,
        outcome_by_api=(("chat", DEPARTED), ("completions", DEPARTED)),
    ),
    Row("connection breaks", "breaks-at-3", True, BROKEN, said="3 of 8 tokens, .+"),
    Row("client leaves", "slow", True, LEFT, said="3 of 8 tokens", leave_after=3),
    Row("client times out", "stalls", True, LEFT, said="3 of 8 tokens.*", timeout=1),
    Row("lingering", "lingers", True, DEPARTED, said=ALL),
    Row("lingering, client leaves", "lingers", True, DEPARTED, said=ALL, leave_at_end=True),
    Row("keep-alive first", "waits", True, DEPARTED, said=ALL),
    Row("rejected", "refuses", True, REJECTED, said="0 of 8 tokens, BadRequestError: .*rejects all requests.*"),
]

WHOLE = [
    Row("success", "toy", False, DEPARTED, said=ALL),
    Row("tool call", "calls-a-tool", False, DEPARTED, said="the tool call", without=("completions",)),
    # The gateway has the status 500 alone. Responses have the failure and the status 200.
    Row(
        "failure", "fails-at-3", False, FAILED, outcome_behind_gateway=BROKEN,
        outcome_by_api_behind_gateway=(("responses", FAILED),),
        said="0 of 8 tokens, .*engine failed after 3 tokens.*",
    ),
    Row("truncation", "truncates-at-3", False, CUT, outcome_behind_gateway=BROKEN),
    Row("client times out", "stalls", False, LEFT, said="0 of 8 tokens, .+", timeout=1),
    Row("slow start", "waits", False, DEPARTED, said=ALL),
    Row("rejected", "refuses", False, REJECTED, said="0 of 8 tokens, BadRequestError: .*rejects all requests.*"),
]



def rows_of(api):
    return [row for row in STREAMS + WHOLE if api.key not in row.without]
