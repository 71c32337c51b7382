"""Writes mutants into the source that they are mutants of, each behind a switch.

A mutant is one of `cargo mutants --list --json`, with a number. Where it is switched on, which is asked
when that code runs, its text is run, else what stands there now.
"""

import collections
import re

import tree_sitter
import tree_sitter_rust

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))

# Goes into lib.rs.
SWITCH = b"""
static MUTANT: std::sync::LazyLock<Option<u32>> =
    std::sync::LazyLock::new(|| std::env::var("MUTANT").ok()?.parse().ok());
pub(crate) fn mutant(number: u32) -> bool { *MUTANT == Some(number) }
"""


class Unfit(Exception):
    """A mutant that cannot be switched on when the tests run: what becomes of it.

    `left` to a build of its own; `unviable`: it would not compile; `absent`: what it changes is not
    there with all features.
    """


class Source:
    def __init__(self, text):
        self.text = text
        self.lines = text.split(b"\n")
        self.root = PARSER.parse(text).root_node

    def with_mutants(self, mutants):
        """The text with all of these in it, and what becomes of those that are not."""
        sites, unfit = collections.defaultdict(list), {}
        for mutant in mutants:
            try:
                where, change = self.site(mutant)
                sites[where].append((b"crate::mutant(%d)" % mutant["number"], change))
            except Unfit as why:
                unfit[mutant["number"]] = str(why)
        ordered = sorted(sites, key=lambda where: (where[0], -where[1]))

        def render(start, end, within=None):
            out, at = b"", start
            for where in ordered:
                if where != within and where[0] >= at and where[1] <= end:
                    out += self.text[at : where[0]] + changed(where)
                    at = where[1]
            return out + self.text[at:end]

        def changed(where):
            text = render(*where, within=where)
            for on, change in sites[where]:
                text = change(on, text)
            return text

        return render(0, len(self.text)), unfit

    def changed_by(self, mutant):
        """The text with this one in place of what it changes, for good."""
        start, end = (self.offset(mutant["span"][side]) for side in ("start", "end"))
        return self.text[:start] + mutant["replacement"].encode() + self.text[end:]

    def site(self, mutant):
        """Which bytes are replaced, and by what: a function of the switch and what is there now."""
        start, end = (self.offset(mutant["span"][side]) for side in ("start", "end"))
        node = self.root.descendant_for_byte_range(start, end)
        function = around(node, "function_item")
        if around(node, "const_item", "static_item") or function and is_const(function):
            raise Unfit("left")
        if function and is_absent(function):
            raise Unfit("absent")
        new = mutant["replacement"].encode()

        def replaced(whole, text):
            return whole, lambda on, old: either(on, marked(mutant, text), old)

        match mutant["genre"]:
            case "FnValue":
                kind = function.child_by_field_name("return_type")
                if kind and b"impl " in kind.text:
                    raise Unfit("left")
                value = marked(mutant, b"return;" if new == b"()" else b"return %s;" % new)
                body = span(function.child_by_field_name("body"))
                return body, lambda on, old: b"{ if %s { %s }\n%s }" % (on, value, old)
            case "BinaryOperator":
                both = node.parent
                # Where a `let` stands beside it, `||` is no Rust.
                if any(part.type in ("let_condition", "let_chain") for part in [both, *both.children]):
                    raise Unfit("unviable")
                left, right = self.text[both.start_byte : start], self.text[end : both.end_byte]
                return replaced(span(both), left + b" " + new + b" " + right)
            case "UnaryOperator":
                whole = around(node, "unary_expression")
                return replaced(span(whole), self.text[end : whole.end_byte])
            case "MatchArmGuard":
                return replaced((start, end), new)
            case "MatchArm":
                pattern = around(node, "match_arm").child_by_field_name("pattern")
                guard = pattern.child_by_field_name("condition")
                if guard:
                    return span(guard), lambda on, old: b"(!%s && (%s))" % (on, old)
                behind = (pattern.end_byte, pattern.end_byte)
                return behind, lambda on, old: (old + b" && !" if old else b" if !") + on
            case "StructField":
                place = self.root.descendant_for_byte_range(start, start + 1)
                field = around(place, "field_initializer", "shorthand_field_initializer")
                name, value = field.child_by_field_name("field"), field.child_by_field_name("value")
                others = around(field, "field_initializer_list").children
                base = next(part for part in others if part.type == "base_field_initializer")
                text = b"{ let base = %s; base.%s }" % (base.children[-1].text, (name or field).text)
                if value:
                    return replaced(span(value), text)
                label = field.text + b": "
                return span(field), lambda on, old: label + either(on, marked(mutant, text), old)
        raise Unfit("left")

    def offset(self, position):
        above = sum(len(line) + 1 for line in self.lines[: position["line"] - 1])
        line = self.lines[position["line"] - 1].decode()
        return above + len(line[: position["column"] - 1].encode())


def is_const(function):
    return any(part.type == "function_modifiers" and b"const" in part.text for part in function.children)


def is_absent(function):
    attribute = function.prev_named_sibling
    while attribute and attribute.type == "attribute_item":
        if b"cfg(not(feature" in attribute.text:
            return True
        attribute = attribute.prev_named_sibling
    return False


def around(node, *kinds):
    while node and node.type not in kinds:
        node = node.parent
    return node


def span(node):
    return node.start_byte, node.end_byte


def either(on, new, old):
    return b"(if %s { %s } else { %s })" % (on, new, old)


def marked(mutant, text):
    return b"/*{%d*/%s/*%d}*/" % (mutant["number"], text, mutant["number"])


def to_blame(text, start, end, is_exhaustive):
    """The mutants that an error at these bytes of the changed text is about: in whose text it is, or,
    if a match is not exhaustive, without whose arms it is not."""
    numbers = set()
    for mark in re.finditer(rb"/\*\{(\d+)\*/", text):
        if mark.start() <= start <= text.index(b"/*%s}*/" % mark[1], mark.end()):
            numbers.add(int(mark[1]))
    if not numbers and not is_exhaustive:
        place = PARSER.parse(text).root_node.descendant_for_byte_range(start, end)
        whole = around(place, "match_expression").text
        numbers = {int(number) for number in re.findall(rb"(?:if|&&) !crate::mutant\((\d+)\)", whole)}
    return numbers
