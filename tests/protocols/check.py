"""Compares what clients saw with the spans of the server. Started by tests/protocols/run."""

import argparse
import sys
import unittest

from report import TABLE, Setup

from server import Server  # the path is set by `report`

import calls
import curl
import fetch
import frames

MODULES = [curl, fetch, frames, calls]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("binary")
    arguments.add_argument("node", help="the folder with the JavaScript client")
    arguments.add_argument("--table", help="the file for the table")
    arguments, rest = arguments.parse_known_args()
    Setup.node = arguments.node
    Setup.server = Server(arguments.binary)
    # The tests can be selected by their class, such as `Frames`.
    for module in MODULES:
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__:
                globals()[name] = value
    try:
        tests = unittest.main(argv=[sys.argv[0], *rest], exit=False)
    finally:
        code, spans = Setup.server.stop()
    faults = [] if tests.result.wasSuccessful() else ["a test has failed, see above"]
    if code != 0:
        faults.append(f"the server's exit code is {code}, not 0")
    if len({span["span_id"] for span in spans}) != len(spans):
        faults.append("a span has been written twice")
    for fault in faults:
        print(f"protocols: {fault}", file=sys.stderr)
    if arguments.table:
        with open(arguments.table, "w", encoding="utf-8") as file:
            file.write(TABLE.text())
    print(f"{tests.result.testsRun} tests, {len(spans)} spans")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
