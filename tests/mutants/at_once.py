"""Runs the tests against every mutant of cargo-mutants, with one build for all of them.

cargo-mutants builds anew for each mutant, which takes hours. Here all that it lists are written into
one copy of the source, each behind `if crate::mutant(number)`, and the number comes from the
environment when the tests run. What does not compile is taken out, which is what cargo-mutants
calls unviable; the few that cannot be told apart when they run (in constants, and of functions that
return `impl Trait`) are left to cargo-mutants.
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

import tree_sitter
import tree_sitter_rust

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "tests/mutants/mutants.toml"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TREE, RESULTS = TARGET / "mutants/tree", TARGET / "mutants/results.jsonl"
PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
SWITCH = b"""
static MUTANT: std::sync::LazyLock<Option<u32>> = std::sync::LazyLock::new(|| std::env::var("MUTANT").ok()?.parse().ok());
pub(crate) fn mutant(number: u32) -> bool { *MUTANT == Some(number) }
"""
# Tests that take seconds each: they come after all others, for mutants that live.
SLOW = ["hostile", "load::", "conventions::", "otlp::", "matrix::leavings", "llm::sampling"]
# What counts instructions or goes by the clock says nothing of a mutant.
NEVER = ["budgets::"]


class Unfit(Exception):
    """A mutant that cannot be switched on when the tests run."""


class Source:
    def __init__(self, path):
        self.text = path.read_bytes()
        self.lines = self.text.split(b"\n")
        self.root = PARSER.parse(self.text).root_node

    def offset(self, position):
        above = sum(len(line) + 1 for line in self.lines[: position["line"] - 1])
        line = self.lines[position["line"] - 1].decode()
        return above + len(line[: position["column"] - 1].encode())

    def site(self, mutant):
        """Which bytes are replaced, and by what: a function of what stands there now."""
        start, end = (self.offset(mutant["span"][side]) for side in ("start", "end"))
        node = self.root.descendant_for_byte_range(start, end)
        new = mutant["replacement"].encode()
        function = around(node, "function_item")
        if around(node, "const_item", "static_item") or function and b"const" in self.before_fn(function):
            raise Unfit("in a constant")
        match mutant["genre"]:
            case "FnValue":
                if b"impl " in getattr(function.child_by_field_name("return_type"), "text", b""):
                    raise Unfit("returns impl Trait")
                body = function.child_by_field_name("body")
                value = b"" if new == b"()" else new
                return span(body), lambda on, old: b"{ if %s { %s }\n%s }" % (on, marked(mutant, b"return " + value + b";"), old)
            case "BinaryOperator":
                both = node.parent
                if any(child.type in ("let_condition", "let_chain") for child in [both, *both.children]):
                    raise Unfit("let")
                changed = self.text[both.start_byte : start] + b" " + new + b" " + self.text[end : both.end_byte]
                return span(both), lambda on, old: either(on, marked(mutant, changed), old)
            case "UnaryOperator":
                whole = node if node.type == "unary_expression" else node.parent
                changed = self.text[end : whole.end_byte]
                return span(whole), lambda on, old: either(on, marked(mutant, changed), old)
            case "MatchArmGuard":
                return (start, end), lambda on, old: either(on, new, old)
            case "MatchArm":
                pattern = around(node, "match_arm").child_by_field_name("pattern")
                guard = pattern.child_by_field_name("condition")
                if guard:
                    return span(guard), lambda on, old: b"(!%s && (%s))" % (on, old)
                end = pattern.end_byte
                return (end, end), lambda on, old: (old + b" && " if old else b" if ") + b"!" + on
            case "StructField":
                field = around(self.root.descendant_for_byte_range(start, start + 1), "field_initializer")
                base = next(other for other in field.parent.children if other.type == "base_field_initializer")
                name, base = field.child_by_field_name("field").text, base.children[-1].text
                value = field.child_by_field_name("value")
                return span(value), lambda on, old: either(on, b"{ let base = %s; base.%s }" % (base, name), old)
        raise Unfit(mutant["genre"])

    def before_fn(self, function):
        return b" ".join(child.text for child in function.children if child.type == "function_modifiers")

    def with_mutants(self, mutants):
        """The text with all of these in it, and why some are not."""
        sites, unfit = collections.defaultdict(list), {}
        for mutant in mutants:
            try:
                where, change = self.site(mutant)
                sites[where].append((b"crate::mutant(%d)" % mutant["number"], change))
            except Unfit as why:
                unfit[mutant["number"]] = str(why)
        ordered = sorted(sites, key=lambda where: (where[0], -where[1]))

        def render(start, end, of=None):
            out, at = b"", start
            for where in ordered:
                if where == of or where[0] < at or where[1] > end:
                    continue
                out += self.text[at : where[0]] + changed(where)
                at = where[1]
            return out + self.text[at:end]

        def changed(where):
            text = render(*where, of=where)
            for on, change in sites[where]:
                text = change(on, text)
            return text

        return render(0, len(self.text)), unfit


def around(node, *kinds):
    while node and node.type not in kinds:
        node = node.parent
    return node


def span(node):
    return node.start_byte, node.end_byte


def marked(mutant, text):
    """Text whose errors are this mutant's."""
    return b"/*{%d*/%s/*%d}*/" % (mutant["number"], text, mutant["number"])


def either(on, new, old):
    return b"(if %s { %s } else { %s })" % (on, new, old)


def cargo(*arguments, cwd=TREE):
    settings = dict(os.environ, CARGO_PROFILE_DEV_DEBUG="0", CARGO_PROFILE_TEST_DEBUG="0", CARGO_TARGET_DIR=str(TARGET / "mutants"))
    return subprocess.run(["cargo", *arguments], cwd=cwd, env=settings, stdout=subprocess.PIPE)


def write_tree(mutants):
    """Writes the copy, until it compiles: those that do not, and those that are left out."""
    shutil.rmtree(TREE, ignore_errors=True)
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (TREE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, TREE / name)
    unviable, unfit = set(), {}
    while True:
        for name in sorted({mutant["file"] for mutant in mutants} | {"src/lib.rs"}):
            of_file = [mutant for mutant in mutants if mutant["file"] == name and mutant["number"] not in unviable]
            text, left_out = Source(ROOT / name).with_mutants(of_file)
            unfit |= left_out
            if name == "src/lib.rs":
                text = text.replace(b"#![forbid(unsafe_code)]", b"#![allow(warnings, arithmetic_overflow, unconditional_panic)]", 1) + SWITCH
            (TREE / name).write_bytes(text)
        check = cargo("check", "--locked", "--lib", "--all-features", "--message-format=json", "--quiet")
        if check.returncode == 0:
            break
        found = set().union(*map(to_blame, errors(check.stdout)))
        if not found:
            sys.exit("The tree with the mutants in it does not compile: see cargo's errors in " + str(TREE))
        unviable |= found
    # Where `let` stands beside it, `||` for `&&` is no Rust.
    unviable |= {number for number, why in unfit.items() if why == "let"}
    return unviable, {number: why for number, why in unfit.items() if why != "let"}


def errors(messages):
    for line in messages.splitlines():
        message = json.loads(line).get("message")
        if isinstance(message, dict) and message.get("level") == "error":
            yield message


def to_blame(error):
    """The mutants that an error is about: in whose text it is, or without whose arms a match is whole."""
    numbers = set()
    for place in error["spans"]:
        text = (TREE / place["file_name"]).read_bytes()
        for mark in re.finditer(rb"/\*\{(\d+)\*/", text):
            if mark.start() <= place["byte_start"] <= text.index(b"/*%s}*/" % mark[1], mark.end()):
                numbers.add(int(mark[1]))
        if not numbers and "non-exhaustive" in error["message"]:
            whole = around(PARSER.parse(text).root_node.descendant_for_byte_range(place["byte_start"], place["byte_end"]), "match_expression")
            numbers |= {int(number) for number in re.findall(rb"(?:if|&&) !crate::mutant\((\d+)\)", whole.text)}
    return numbers


def steps():
    """What is run for each mutant, in this order, until a test fails: name, command, seconds."""
    build = cargo("test", "--locked", "--all-features", "--lib", "--test=it", "--test=globals", "--test=global_meters", "--no-run", "--message-format=json")
    if build.returncode:
        sys.exit("The tests do not compile with the mutants in the library")
    binaries = {}
    for line in build.stdout.splitlines():
        made = json.loads(line)
        if made.get("executable"):
            binaries[made["target"]["name"]] = made["executable"]
    skip = [f"--skip={name}" for name in NEVER]
    return [
        ("unit", [binaries["tower_api_span"]], 30),
        ("it", [binaries["it"], *skip, *(f"--skip={name}" for name in SLOW)], 60),
        ("globals", [binaries["globals"]], 60),
        ("global_meters", [binaries["global_meters"]], 60),
        ("it, slow", [binaries["it"], *skip, *SLOW], 300),
    ]


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def fails(number, command, seconds):
    """The first test that fails with this mutant switched on, or `timeout`, or None."""
    told = dict(os.environ, MUTANT=str(number), PROPTEST_CASES="16", PROPTEST_MAX_SHRINK_ITERS="0", RUST_BACKTRACE="0")
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    process = subprocess.Popen(command, cwd=TREE, env=told, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=limit, start_new_session=True)
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
    return failed or ("timeout" if is_late.is_set() else f"exit {status}" if status else None)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--file", action="append", default=[], help="as cargo-mutants has it")
    arguments.add_argument("--quick", action="store_true", help="without the slow tests")
    arguments = arguments.parse_args()
    files = [f"--file={name}" for name in arguments.file]
    listed = cargo("mutants", "--list", "--json", f"--config={CONFIG}", *files, cwd=ROOT)
    mutants = [mutant | {"number": number} for number, mutant in enumerate(json.loads(listed.stdout), 1)]
    TREE.mkdir(parents=True, exist_ok=True)
    unviable, unfit = write_tree(mutants)
    plan = steps()
    if failed := next(filter(None, (fails(0, *step[1:]) for step in plan)), None):
        sys.exit(f"Without a mutant {failed} fails")
    counts, lives = collections.defaultdict(collections.Counter), []
    with RESULTS.open("w") as results:
        for mutant in mutants:
            began, number, by = time.monotonic(), mutant["number"], None
            if number in unviable or number in unfit:
                outcome = "unviable" if number in unviable else "left to cargo-mutants"
            else:
                wanted = plan[:2] if arguments.quick else plan
                by = next(filter(None, (fails(number, *step[1:]) for step in wanted)), None)
                outcome = "timeout" if by == "timeout" else "caught" if by else "missed"
            seconds = round(time.monotonic() - began, 1)
            print(json.dumps({"name": mutant["name"], "outcome": outcome, "by": by, "seconds": seconds}), file=results, flush=True)
            counts[mutant["file"]][outcome] += 1
            if outcome in ("missed", "left to cargo-mutants"):
                lives.append(f"{outcome}: {mutant['name']}")
    for name, of_file in sorted(counts.items()):
        print(f"{name:32} {sum(of_file.values()):5}", *(f"{outcome} {count}" for outcome, count in sorted(of_file.items())))
    print(*lives, sep="\n")
    sys.exit(any(line.startswith("missed") for line in lives))


main()
