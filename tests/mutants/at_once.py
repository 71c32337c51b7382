"""Runs the tests against every mutant of cargo-mutants, with one build for all of them.

cargo-mutants builds anew for each mutant, which takes hours. Here all that it lists are written into
one copy of the source, and the tests are told by the environment which one is switched on. What does
not compile is taken out: cargo-mutants calls it unviable. The few that cannot be switched on when
the tests run, in constants and of functions that return `impl Trait`, have a build each, at the end.
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

from switches import SWITCH, Source, to_blame

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "tests/mutants/mutants.toml"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "mutants"
TREE, RESULTS = TARGET / "tree", TARGET / "results.jsonl"
# Tests that take seconds each: they come after all others, for the mutants that live.
SLOW = ["concurrency::", "conventions::", "hostile", "llm::sampling", "load::", "matrix::", "metrics::balance"]
SLOW += ["otlp::", "properties::", "outside_nothing_is_current"]


def cargo(*arguments, cwd=TREE):
    without_debug = {"CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_TEST_DEBUG": "0"}
    told = dict(os.environ, **without_debug, CARGO_TARGET_DIR=str(TARGET), CARGO_TERM_COLOR="never")
    return subprocess.run(["cargo", *arguments], cwd=cwd, env=told, stdout=subprocess.PIPE)


def of_no_mutant():
    """The patterns of the configuration that leave nothing out, since the source is another now."""
    listed = cargo("mutants", "--list", "--no-config", "--all-features", cwd=ROOT).stdout.decode()
    patterns = tomllib.loads(CONFIG.read_text())["exclude_re"]
    return [pattern for pattern in patterns if not re.search(pattern, listed, re.MULTILINE)]


def write(name, text):
    if name == "src/lib.rs":
        lints = b"#![allow(warnings, arithmetic_overflow, unconditional_panic)]"
        text = text.replace(b"#![forbid(unsafe_code)]", lints, 1) + SWITCH
    (TREE / name).write_bytes(text)


def write_tree(mutants):
    """Writes the copy, anew until it compiles. Returns what becomes of those that are not in it."""
    shutil.rmtree(TREE, ignore_errors=True)
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (TREE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, TREE / name)
    out = {}
    while True:
        for name in sorted({mutant["file"] for mutant in mutants} | {"src/lib.rs"}):
            rest = [one for one in mutants if one["file"] == name and one["number"] not in out]
            text, unfit = Source((ROOT / name).read_bytes()).with_mutants(rest)
            out |= unfit
            write(name, text)
        json_errors = "--message-format=json"
        check = cargo("check", "--quiet", "--locked", "--lib", "--all-features", json_errors)
        if check.returncode == 0:
            return out
        unviable = dict.fromkeys(blamed(check.stdout), "unviable")
        if not unviable:
            sys.exit(f"{TREE} does not compile, and no mutant is to blame")
        out |= unviable


def blamed(messages):
    for line in messages.splitlines():
        message = json.loads(line).get("message")
        if not isinstance(message, dict) or message.get("level") != "error":
            continue
        is_exhaustive = "non-exhaustive" not in message["message"]
        for place in message["spans"]:
            # A place may be in the standard library.
            if (TREE / place["file_name"]).is_file():
                text = (TREE / place["file_name"]).read_bytes()
                yield from to_blame(text, place["byte_start"], place["byte_end"], is_exhaustive)


def build():
    tests = ["--lib", "--test=it", "--test=globals", "--test=global_meters"]
    return cargo("test", "--locked", "--all-features", *tests, "--no-run", "--message-format=json")


def steps():
    """What is run for each mutant, in this order, until a test fails: commands and seconds."""
    build_of_all = build()
    if build_of_all.returncode:
        sys.exit("The tests do not compile with the mutants in the library")
    made = map(json.loads, build_of_all.stdout.splitlines())
    made = {one["target"]["name"]: one["executable"] for one in made if one.get("executable")}
    but_slow = [f"--skip={name}" for name in SLOW]
    quick = [([made["tower_api_span"]], 30), ([made["it"], *but_slow], 60)]
    others = [([made["globals"]], 60), ([made["global_meters"]], 60)]
    return quick, others + [([made["it"], *SLOW], 300)]


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def failure(number, command, seconds):
    """The first test that fails with this mutant switched on, or `timeout`; None if all is well."""
    told = {"MUTANT": str(number), "PROPTEST_CASES": "16", "PROPTEST_MAX_SHRINK_ITERS": "0"}
    process = subprocess.Popen(
        command,
        cwd=TREE,
        env=dict(os.environ, **told, RUST_BACKTRACE="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # A mutant may allocate without end.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)),
        start_new_session=True,
    )
    late = threading.Event()
    clock = threading.Timer(seconds, lambda: (late.set(), kill(process)))
    clock.start()
    failed = None
    for line in process.stdout:
        if line.rstrip().endswith(b"... FAILED"):
            failed = line.decode(errors="replace").split()[1]
            kill(process)
            break
    status = process.wait()
    clock.cancel()
    # One that is written in place is there without its number, too.
    if failed and number and not is_well(command[0], failed):
        sys.exit(f"Without any mutant: {failed}, but not each time; before that: {number}")
    return failed or ("timeout" if late.is_set() else f"exit {status}" if status else None)


def is_well(program, test):
    """Whether a test that has failed goes well without a mutant."""
    told = dict(os.environ, MUTANT="0", PROPTEST_CASES="16")
    command = [program, "--exact", test]
    return subprocess.run(command, cwd=TREE, env=told, capture_output=True).returncode == 0


def first_failure(number, plan):
    return next(filter(None, (failure(number, *step) for step in plan)), None)


def first_failure_alone(mutant, plan):
    """The same for one that is written in place of what it changes. `unviable` if it does not compile."""
    name = mutant["file"]
    with_switches = (TREE / name).read_bytes()
    write(name, Source((ROOT / name).read_bytes()).changed_by(mutant))
    by = "unviable" if build().returncode else first_failure(0, plan)
    (TREE / name).write_bytes(with_switches)
    return by


def with_room(plan):
    """The plan on this machine, after it has gone well without any mutant: a step that is slow here has
    five times what it took, so that slow is not taken for without end."""
    roomy = []
    for command, seconds in plan:
        began = time.monotonic()
        if failed := failure(0, command, 10 * seconds):
            sys.exit(f"Without any mutant: {failed}")
        roomy.append((command, max(seconds, 5 * (time.monotonic() - began))))
    return roomy


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", action="append", default=[], help="only this one's mutants")
    parser.add_argument("--quick", action="store_true", help="without the slow tests")
    arguments = parser.parse_args()
    TREE.mkdir(parents=True, exist_ok=True)
    if patterns := of_no_mutant():
        sys.exit(f"{CONFIG} leaves out what is not there, take it out: {patterns}")
    files = [f"--file={name}" for name in arguments.file]
    listed = cargo("mutants", "--list", "--json", f"--config={CONFIG}", *files, cwd=ROOT).stdout
    mutants = [one | {"number": number} for number, one in enumerate(json.loads(listed), 1)]
    for name in arguments.file or ["src"]:
        if not any(mutant["file"].startswith(name) for mutant in mutants):
            sys.exit(f"There are no mutants in {name}: say the path of a file as git does")
    out = write_tree(mutants)
    quick, slow = steps()
    plan = with_room(quick if arguments.quick else quick + slow)
    counts, to_look_at = collections.defaultdict(collections.Counter), []
    with RESULTS.open("w") as results:
        for mutant in sorted(mutants, key=lambda mutant: out.get(mutant["number"]) == "left"):
            began, number = time.monotonic(), mutant["number"]
            by = out.get(number)
            if by == "left":
                by = first_failure_alone(mutant, plan)
            elif not by:
                by = first_failure(number, plan)
            untold = ("timeout", "unviable", "absent")
            outcome = by if by in untold else "caught" if by else "missed"
            seconds = round(time.monotonic() - began, 1)
            result = {"name": mutant["name"], "outcome": outcome, "by": by, "seconds": seconds}
            print(json.dumps(result), file=results, flush=True)
            counts[mutant["file"]][outcome] += 1
            if outcome in ("missed", "timeout"):
                to_look_at.append(f"{outcome}: {mutant['name']}")
    counts["all"] = sum(counts.values(), collections.Counter())
    for name, outcomes in counts.items():
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{name:32} {outcomes.total():5} mutants: {told}")
    print(*to_look_at, sep="\n")
    sys.exit(counts["all"]["missed"] > 0)


main()
