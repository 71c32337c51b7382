"""Runs tests of the mutated library: which mutants each test reaches, and the first test that fails."""

import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import resource
import signal
import subprocess
import tempfile
import threading
import time

# Tests of the binary `it` that take seconds each. They run last, for the mutants that all other tests miss.
SLOW = ["concurrency::", "cuts_change_nothing", "conventions::", "hostile", "llm::sampling", "load::", "matrix::", "metrics::balance", "metrics::cardinality"]
SLOW += ["otlp::", "properties::", "outside_no_span_is_current"]
# A test may take five times as long as without a mutant, and at least this many seconds.
SHORTEST_LIMIT = 30
# No test takes longer without a mutant.
LONGEST = 300


@dataclasses.dataclass(frozen=True)
class Test:
    program: str
    name: str
    is_slow: bool


def tests_of(programs, with_slow):
    """Returns the tests of these programs, a dictionary from names to paths."""
    found = []
    for kind, program in programs.items():
        listed = subprocess.run([program, "--list", "--format=terse"], stdout=subprocess.PIPE, text=True, check=True)
        for line in listed.stdout.splitlines():
            if line.endswith(": test"):
                name = line.removesuffix(": test")
                is_slow = kind == "it" and any(part in name for part in SLOW) and "properties::regressions" not in name
                if with_slow or not is_slow:
                    found.append(Test(program, name, is_slow))
    return found


class Reach:
    """Which mutants each test reaches, and how long it takes: each test runs once, alone, without a mutant."""

    def __init__(self, tests, cwd):
        self.seconds, self.reaching = {}, collections.defaultdict(list)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for test, seconds, numbers in pool.map(lambda test: reached(test, cwd), tests):
                self.seconds[test] = seconds
                for number in numbers:
                    self.reaching[number].append(test)
        self.all = list(tests)

    def quick(self, number, likely):
        """Yields the tests to run for a mutant, step by step: the likely ones, the fastest, the others."""
        tests = [test for test in self.tests(number) if not test.is_slow]
        likely = [test for test in likely if test in tests]
        rest = [test for test in tests if test not in likely]
        yield from (step for step in (likely, rest[:40], rest[40:]) if step)

    def slow(self, number):
        """Yields the slow tests to run for a mutant: the faster half, then the others."""
        slow = [test for test in self.tests(number) if test.is_slow]
        middle = len(slow) // 2
        yield from (step for step in (slow[:middle], slow[middle:]) if step)

    def tests(self, number):
        """Number 0 is a mutant that has no switch, so that nothing is known of it: all tests run."""
        return sorted(self.reaching[number] if number else self.all, key=lambda test: self.seconds[test])

    def limit(self, tests):
        return max(SHORTEST_LIMIT, 5 * sum(self.seconds[test] for test in tests))


def reached(test, cwd):
    with tempfile.NamedTemporaryFile() as file:
        began = time.monotonic()
        run = subprocess.run(
            [test.program, "--exact", test.name],
            cwd=cwd,
            env=environment(0) | {"MUTANTS_REACHED": file.name},
            capture_output=True,
            timeout=LONGEST,
        )
        seconds = time.monotonic() - began
        numbers = {int(line) for line in pathlib.Path(file.name).read_text().split()}
    if run.returncode:
        # Counts of allocations differ while the reached mutants are written.
        run = subprocess.run([test.program, "--exact", test.name], cwd=cwd, env=environment(0), capture_output=True)
    if run.returncode:
        raise SystemExit(f"A test fails without a mutant: {test.name}\n{run.stdout.decode()}")
    return test, seconds, numbers


def environment(number):
    # The seed is fixed, so that a property test reaches the same mutants in each run.
    cases = {"PROPTEST_CASES": "16", "PROPTEST_RNG_SEED": "1", "PROPTEST_MAX_SHRINK_ITERS": "0"}
    return dict(os.environ, **cases, MUTANT=str(number), RUST_BACKTRACE="0")


def failure(number, tests, limit, cwd):
    """Returns the first test that fails with this mutant, or `timeout`, or None if all pass."""
    by_program = collections.defaultdict(list)
    for test in tests:
        by_program[test.program].append(test)
    for program, group in by_program.items():
        if failed := failure_in(program, number, {test.name: test for test in group}, limit, cwd):
            return failed
    return None


def failure_in(program, number, tests, limit, cwd):
    process = subprocess.Popen(
        [program, "--exact", *tests],
        cwd=cwd,
        env=environment(number),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Limits memory: a mutant may allocate in an endless loop.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)),
        start_new_session=True,
    )
    is_late = threading.Event()
    clock = threading.Timer(limit, lambda: (is_late.set(), kill(process)))
    clock.start()
    failed = None
    for line in process.stdout:
        if line.rstrip().endswith(b"... FAILED"):
            failed = tests[line.decode(errors="replace").split()[1]]
            kill(process)
            break
    status = process.wait()
    process.stdout.close()
    clock.cancel()
    return failed or ("timeout" if is_late.is_set() else f"exit {status}" if status else None)


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def passes_without_mutant(test, cwd):
    """Whether a failed test passes without a mutant."""
    command = [test.program, "--exact", test.name]
    return subprocess.run(command, cwd=cwd, env=environment(0), capture_output=True).returncode == 0
