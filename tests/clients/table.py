"""The table of what the clients and the spans said, printed after the tests."""

import re


class Table:
    def __init__(self):
        self._cells = {}

    def add(self, api, row, kind, is_behind_gateway, said, request):
        cells = self._cells.setdefault((api.name, row.mode, row.name), {})
        place = "gateway" if is_behind_gateway else "direct"
        client = kind.partition(" ")[0]
        # The text, where Python's clients with and without async differ.
        cells.setdefault(client, {}).setdefault(self._shorten(said.text), None)
        cells.setdefault(place, {}).setdefault(self._describe(request), None)

    def text(self):
        """Returns the table as Markdown."""
        lines = [
            "| API | mode | case | Python client | JavaScript client | span | span of the gateway |",
            "|---|---|---|---|---|---|---|",
        ]
        for (api, mode, name), cells in self._cells.items():
            columns = ["python", "javascript", "direct", "gateway"]
            columns = [" / ".join(cells.get(column, {"–": None})) for column in columns]
            lines.append("| " + " | ".join([api, mode, name, *columns]) + " |")
        return "\n".join(lines) + "\n" if self._cells else ""

    @staticmethod
    def _shorten(text):
        text = text.replace("|", "\\|")
        return text if len(text) <= 90 else text[:89] + "…"

    @staticmethod
    def _describe(request):
        attributes = request["attributes"]
        reason = attributes.get("api.abort.reason")
        parts = [attributes["api.outcome"] + (f"({reason})" if reason else ""), request["status"]]
        if code := attributes.get("api.error.code"):
            parts.append(f"code {code}")
        usage = {
            re.sub("gen_ai.usage.|_tokens", "", key): value
            for key, value in attributes.items()
            if key.startswith("gen_ai.usage.")
        }
        names = {"input": "in", "cache_read.input": "cached", "output": "out"}
        tokens = [f"{usage[key]} {name}" for key, name in names.items() if key in usage]
        if tokens:
            parts.append(", ".join(tokens) + " tokens")
        first = attributes.get("gen_ai.response.time_to_first_chunk")
        if first is not None:
            # Steps of 0.2 s: the pauses of the models. The exact times differ between clients.
            parts.append(f"first token after {first // 0.2 * 0.2:.1f} s")
        if reasons := attributes.get("gen_ai.response.finish_reasons"):
            parts.append("finish " + ", ".join(reasons))
        return "; ".join(parts)


TABLE = Table()
