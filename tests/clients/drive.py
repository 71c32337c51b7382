"""Sends the requests of the matrix, with the clients for Python and JavaScript."""

import asyncio
import json
import os
import subprocess
import time
from dataclasses import dataclass

from case import ANSWER, TOKENS, TOOL_CALL, Setup, new_client


@dataclass
class Said:
    """What a client made of a response."""

    text: str
    seconds: float


def describe(pieces, ending):
    text = "".join(pieces)
    tokens = sum(1 for piece in pieces if piece)
    known = {ANSWER: "the answer", TOOL_CALL: "the tool call"}
    what = known.get(text, f"{tokens} of {TOKENS} tokens")
    return f"{what}, {ending}" if ending else what


def name_error(error):
    lines = str(error).splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"


def drive_sync(api, row, url, headers):
    started = time.monotonic()
    pieces, ending = [], None
    with new_client(api.kinds[0], url, timeout=row.timeout) as client:
        try:
            response = api.request(client, row.model, row.is_stream, headers)
            if not row.is_stream:
                return whole(api, response, started)
            for event in response:
                pieces.append(api.piece(event))
                ending = api.failure(event) or ending
                if row.leaves(api, event, pieces):
                    break
            response.close()
        except Exception as error:
            ending = name_error(error)
        return Said(describe(pieces, ending), time.monotonic() - started)


def drive_async(api, row, url, headers):
    return asyncio.run(request_async(api, row, url, headers))


async def request_async(api, row, url, headers):
    started = time.monotonic()
    pieces, ending = [], None
    async with new_client(api.kinds[1], url, timeout=row.timeout) as client:
        try:
            response = await api.request(client, row.model, row.is_stream, headers)
            if not row.is_stream:
                return whole(api, response, started)
            async for event in response:
                pieces.append(api.piece(event))
                ending = api.failure(event) or ending
                if row.leaves(api, event, pieces):
                    break
            await response.close()
        except Exception as error:
            ending = name_error(error)
        return Said(describe(pieces, ending), time.monotonic() - started)


def whole(api, answer, started):
    failure = api.failure(answer)
    text = describe([], failure) if failure else describe([api.text(answer)], None)
    return Said(text, time.monotonic() - started)


def drive_node(api, rows, url, traces):
    """Sends the requests of all rows at once. Returns what the JavaScript client made of each."""
    requests = [
        {
            "api": api.key,
            "url": url,
            "model": row.model,
            "stream": row.is_stream,
            "timeout": row.timeout * 1000,
            "leaveAfter": row.leave_after,
            "leaveAtEnd": row.leave_at_end,
            "headers": trace.headers,
        }
        for row, trace in zip(rows, traces)
    ]
    script = os.path.join(os.path.dirname(__file__), "drive.mjs")
    ran = subprocess.run(
        ["node", script, Setup.node], input=json.dumps(requests), capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    results = [json.loads(line) for line in ran.stdout.splitlines()]
    return [Said(describe(result["pieces"], result["ending"]), result["seconds"]) for result in results]
