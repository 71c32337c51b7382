"""Runs the tests against every mutant of cargo-mutants, with one build for all of them.

cargo-mutants builds once per mutant, which takes hours. This script writes all mutants into one copy of the
source, and an environment variable switches one of them on. Mutants that do not compile are removed; cargo-mutants
calls them unviable. Mutants in constants, and of functions that return `impl Trait`, cannot have a switch. They
run last, with one build each.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib

from switches import SWITCH, Source, mutants_at

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "tests/mutants/mutants.toml"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "mutants"
TREE, RESULTS = TARGET / "tree", TARGET / "results.jsonl"
# Tests that take seconds each. They run last, for the mutants that all other tests miss.
SLOW = ["concurrency::", "conventions::", "hostile", "llm::sampling", "load::", "matrix::", "metrics::balance", "metrics::cardinality"]
SLOW += ["otlp::", "properties::", "outside_no_span_is_current"]


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
        lints = b"#![allow(warnings, arithmetic_overflow, unconditional_panic)]"
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
    tests = ["--lib", "--test=it", "--test=globals", "--test=global_meters"]
    return cargo("test", "--locked", "--all-features", *tests, "--no-run", "--message-format=json")


def steps():
    """Builds the tests. Returns the quick and the slow steps, each a command and its time limit in seconds.

    They run in this order until a test fails.
    """
    build_of_all = build()
    if build_of_all.returncode:
        sys.exit("The tests do not compile with the mutated library")
    artifacts = map(json.loads, build_of_all.stdout.splitlines())
    programs = {one["target"]["name"]: one["executable"] for one in artifacts if one.get("executable")}
    skip_slow = [f"--skip={name}" for name in SLOW]
    quick = [([programs["tower_api_span"]], 30), ([programs["it"], *skip_slow], 60)]
    others = [([programs["globals"]], 60), ([programs["global_meters"]], 60)]
    return quick, others + [([programs["it"], *SLOW], 300)]


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def failure(number, command, seconds):
    """Returns the first test that fails with this mutant, `timeout`, or None if all tests pass."""
    settings = {"MUTANT": str(number), "PROPTEST_CASES": "16", "PROPTEST_MAX_SHRINK_ITERS": "0"}
    process = subprocess.Popen(
        command,
        cwd=TREE,
        env=dict(os.environ, **settings, RUST_BACKTRACE="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Limits memory: a mutant may allocate in an endless loop.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)),
        start_new_session=True,
    )
    is_late = threading.Event()
    clock = threading.Timer(seconds, lambda: (is_late.set(), kill(process)))
    clock.start()
    failed = None
    for line in process.stdout:
        if line.rstrip().endswith(b"... FAILED"):
            failed = line.decode(errors="replace").split()[1]
            kill(process)
            break
    status = process.wait()
    clock.cancel()
    # A mutant with its own build has number 0 and cannot be switched off.
    if failed and number and not passes_without_mutant(command[0], failed):
        sys.exit(f"{failed} is flaky: it failed with mutant {number} and then without a mutant")
    return failed or ("timeout" if is_late.is_set() else f"exit {status}" if status else None)


def passes_without_mutant(program, test):
    """Whether a failed test passes without a mutant."""
    environment = dict(os.environ, MUTANT="0", PROPTEST_CASES="16")
    command = [program, "--exact", test]
    return subprocess.run(command, cwd=TREE, env=environment, capture_output=True).returncode == 0


def first_failure(number, plan):
    return next(filter(None, (failure(number, *step) for step in plan)), None)


def first_failure_in_own_build(mutant, plan):
    """Like `first_failure`, for a mutant with its own build. Returns `unviable` if it does not compile."""
    name = mutant["file"]
    with_switches = (TREE / name).read_bytes()
    write(name, Source((ROOT / name).read_bytes()).with_mutant(mutant))
    by = "unviable" if build().returncode else first_failure(0, plan)
    (TREE / name).write_bytes(with_switches)
    return by


def with_time_limits(plan):
    """Runs the plan without a mutant. Returns it with time limits of at least five times its durations.

    Slow steps on a slow machine are then not mistaken for endless loops.
    """
    adjusted = []
    for command, seconds in plan:
        began = time.monotonic()
        if failed := failure(0, command, 10 * seconds):
            sys.exit(f"A test fails without a mutant: {failed}")
        adjusted.append((command, max(seconds, 5 * (time.monotonic() - began))))
    return adjusted


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", action="append", default=[], help="run only the mutants of this file")
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
    left_out = write_tree(mutants)
    quick, slow = steps()
    plan = with_time_limits(quick if arguments.quick else quick + slow)
    counts, to_review = collections.defaultdict(collections.Counter), []
    with RESULTS.open("w") as results:
        for mutant in sorted(mutants, key=lambda mutant: left_out.get(mutant["number"]) == "own build"):
            began, number = time.monotonic(), mutant["number"]
            by = left_out.get(number)
            if by == "own build":
                by = first_failure_in_own_build(mutant, plan)
            elif not by:
                by = first_failure(number, plan)
            is_outcome = by in ("timeout", "unviable", "absent")
            outcome = by if is_outcome else "caught" if by else "missed"
            seconds = round(time.monotonic() - began, 1)
            result = {"name": mutant["name"], "outcome": outcome, "by": by, "seconds": seconds}
            print(json.dumps(result), file=results, flush=True)
            counts[mutant["file"]][outcome] += 1
            if outcome in ("missed", "timeout"):
                to_review.append(f"{outcome}: {mutant['name']}")
    counts["all"] = sum(counts.values(), collections.Counter())
    for name, outcomes in counts.items():
        summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{name:32} {outcomes.total():5} mutants: {summary}")
    print(*to_review, sep="\n")
    sys.exit(counts["all"]["missed"] > 0)


main()
