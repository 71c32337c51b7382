"""Runs the tests against every mutant of cargo-mutants, with one build for all of them.

cargo-mutants builds once per mutant, which takes hours. This script writes all mutants into one copy of the
source, and an environment variable switches one of them on. Mutants that do not compile are removed; cargo-mutants
calls them unviable. Mutants in constants, and of functions that return `impl Trait`, cannot have a switch. They
run last, with one build each.
"""

import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib

from programs import Reach, Test, failure, passes_without_mutant, tests_of
from switches import SWITCH, Source, mutants_at

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "tests/mutants/mutants.toml"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "mutants"
TREE, RESULTS = TARGET / "tree", TARGET / "results.jsonl"
# Test programs that set global providers. `global_threads` is not one of them: it repeats the others in many threads.
GLOBALS = ["globals", "global_meters", "global_described", "global_propagator", "global_replaced"]
GLOBALS += ["global_subscriber", "global_tracing"]


def cargo(*arguments, cwd=TREE):
    without_debug = {"CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_TEST_DEBUG": "0"}
    environment = dict(os.environ, **without_debug, CARGO_TARGET_DIR=str(TARGET.parent), CARGO_TERM_COLOR="never")
    return subprocess.run(["cargo", *arguments], cwd=cwd, env=environment, stdout=subprocess.PIPE)


def stale_patterns():
    """Returns the patterns of the configuration that match no mutant of the current source."""
    listed = cargo("mutants", "--list", "--no-config", "--all-features", cwd=ROOT).stdout.decode()
    patterns = tomllib.loads(CONFIG.read_text())["exclude_re"]
    return [pattern for pattern in patterns if not re.search(pattern, listed, re.MULTILINE)]


def write(name, text):
    if name == "src/lib.rs":
        lints = b"#![allow(warnings, unsafe_code, arithmetic_overflow, unconditional_panic)]"
        text = text.replace(b"#![forbid(unsafe_code)]", lints, 1) + SWITCH
    (TREE / name).write_bytes(text)


def write_tree(mutants):
    """Writes the copy, repeatedly until it compiles. Returns the mutants left out, with the reasons."""
    shutil.rmtree(TREE, ignore_errors=True)
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (TREE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, TREE / name)
    # Dependencies are shared with the other builds. With the same profile the copy would be, too: cargo would then take
    # its programs for those of the unchanged source.
    with (TREE / "Cargo.toml").open("a") as manifest:
        manifest.write("\n[profile.dev.package.tower-api-span]\ncodegen-units = 255\n")
    left_out = {}
    while True:
        for name in sorted({mutant["file"] for mutant in mutants} | {"src/lib.rs"}):
            rest = [one for one in mutants if one["file"] == name and one["number"] not in left_out]
            text, reasons = Source((ROOT / name).read_bytes()).with_mutants(rest)
            left_out |= reasons
            write(name, text)
        json_errors = "--message-format=json"
        check = cargo("check", "--quiet", "--locked", "--lib", "--all-features", json_errors)
        if check.returncode == 0:
            return left_out
        unviable = dict.fromkeys(mutants_with_errors(check.stdout), "unviable")
        if not unviable:
            sys.exit(f"{TREE} does not compile, and no mutant is the cause")
        left_out |= unviable


def mutants_with_errors(messages):
    """Yields the mutants that cause the compiler's errors."""
    for line in messages.splitlines():
        message = json.loads(line).get("message")
        if not isinstance(message, dict) or message.get("level") != "error":
            continue
        is_exhaustive = "non-exhaustive" not in message["message"]
        for location in message["spans"]:
            # A span may be in the standard library.
            if (TREE / location["file_name"]).is_file():
                text = (TREE / location["file_name"]).read_bytes()
                yield from mutants_at(text, location["byte_start"], location["byte_end"], is_exhaustive)


def build():
    tests = ["--lib", "--test=it", *(f"--test={name}" for name in GLOBALS)]
    return cargo("test", "--locked", "--all-features", *tests, "--no-run", "--message-format=json")


def programs():
    """Builds the tests. Returns the programs, by the names of their targets."""
    build_of_all = build()
    if build_of_all.returncode:
        sys.exit("The tests do not compile with the mutated library")
    artifacts = map(json.loads, build_of_all.stdout.splitlines())
    built = {one["target"]["name"]: one["executable"] for one in artifacts if one.get("executable")}
    return {name: built[name] for name in ["tower_api_span", "it", *GLOBALS]}


class Mutants:
    """Finds the test that catches a mutant. Counts by file which tests do, and runs these first for the next mutant."""

    def __init__(self, reach):
        self.reach, self.lock = reach, threading.Lock()
        self.killers = collections.defaultdict(collections.Counter)

    def run(self, mutant, left_out, with_slow=True):
        """Returns the result for a mutant, or None if only the slow tests can still catch it and are left out."""
        number, began = mutant["number"], time.monotonic()
        by = left_out.get(number)
        if by == "own build":
            by = self.caught_in_own_build(mutant)
        elif not by and with_slow:
            by = self.caught(self.reach.slow(number), mutant, number)
        elif not by:
            by = self.caught(self.quick_steps(mutant, number), mutant, number)
            if not by and any(self.reach.slow(number)):
                return None
        return self.result(mutant, by, time.monotonic() - began)

    @staticmethod
    def result(mutant, by, seconds):
        is_outcome = by in ("timeout", "unviable", "absent", "flaky")
        outcome = by if is_outcome else "caught" if by else "missed"
        name = by.name if isinstance(by, Test) else by
        return mutant["file"], {"name": mutant["name"], "outcome": outcome, "by": name, "seconds": round(seconds, 1)}

    def quick_steps(self, mutant, number):
        with self.lock:
            likely = [test for test, _ in self.killers[mutant["file"]].most_common(12)]
        return self.reach.quick(number, likely)

    def caught(self, steps, mutant, number):
        """Returns the test that fails, `timeout`, `flaky`, or None if the mutant survives."""
        for tests in steps:
            by = failure(number, tests, self.reach.limit(tests), TREE)
            if not by:
                continue
            if isinstance(by, Test):
                # A mutant with its own build has number 0 and cannot be switched off.
                if number and not passes_without_mutant(by, TREE):
                    print(f"{by.name} is flaky: it failed with mutant {number}, and then without a mutant")
                    return "flaky"
                with self.lock:
                    self.killers[mutant["file"]][by] += 1
            return by
        return None

    def caught_in_own_build(self, mutant):
        """Like `caught`, for a mutant with its own build. Returns `unviable` if it does not compile."""
        name = mutant["file"]
        with_switches = (TREE / name).read_bytes()
        write(name, Source((ROOT / name).read_bytes()).with_mutant(mutant))
        by = "unviable" if build().returncode else self.caught(self.all_steps(mutant), mutant, 0)
        (TREE / name).write_bytes(with_switches)
        return by

    def all_steps(self, mutant):
        return itertools.chain(self.quick_steps(mutant, 0), self.reach.slow(0))

    def run_all(self, mutants, left_out):
        """Yields the results, first of the mutants with switches, several at a time.

        The slow tests run when the fast ones have run for all mutants.
        """
        has_own_build = lambda mutant: left_out.get(mutant["number"]) == "own build"
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            switched = [mutant for mutant in mutants if not has_own_build(mutant)]
            survivors = []
            for mutant, result in zip(switched, pool.map(lambda one: self.run(one, left_out, False), switched)):
                if result:
                    yield result
                else:
                    print(f"no fast test fails: {mutant['name']}")
                    survivors.append(mutant)
            yield from pool.map(lambda mutant: self.run(mutant, left_out), survivors)
        yield from (self.run(mutant, left_out) for mutant in mutants if has_own_build(mutant))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", action="append", default=[], help="run only the mutants of this file")
    parser.add_argument("--name", default="", help="run only the mutants whose name has a match of this pattern")
    parser.add_argument("--quick", action="store_true", help="leave out the slow tests")
    arguments = parser.parse_args()
    TREE.mkdir(parents=True, exist_ok=True)
    if patterns := stale_patterns():
        sys.exit(f"{CONFIG} has patterns without a mutant, remove them: {patterns}")
    files = [f"--file={name}" for name in arguments.file]
    listed = cargo("mutants", "--list", "--json", f"--config={CONFIG}", *files, cwd=ROOT).stdout
    mutants = [one | {"number": number} for number, one in enumerate(json.loads(listed), 1)]
    for name in arguments.file or ["src"]:
        if not any(mutant["file"].startswith(name) for mutant in mutants):
            sys.exit(f"No mutants in {name}: give the path of a file relative to the repository")
    mutants = [mutant for mutant in mutants if re.search(arguments.name, mutant["name"])]
    if not mutants:
        sys.exit(f"No mutant's name has a match of {arguments.name}: see cargo mutants --list")
    left_out = write_tree(mutants)
    reach = Reach(tests_of(programs(), with_slow=not arguments.quick), TREE)
    counts, to_review = collections.defaultdict(collections.Counter), []
    with RESULTS.open("w") as results:
        for name, result in Mutants(reach).run_all(mutants, left_out):
            print(json.dumps(result), file=results, flush=True)
            outcome = result["outcome"]
            counts[name][outcome] += 1
            if outcome in ("missed", "timeout", "flaky"):
                to_review.append(f"{outcome}: {result['name']}")
    counts["all"] = sum(counts.values(), collections.Counter())
    for name, outcomes in counts.items():
        summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{name:32} {outcomes.total():5} mutants: {summary}")
    print(*to_review, sep="\n")
    sys.exit(counts["all"]["missed"] + counts["all"]["flaky"] > 0)


main()
