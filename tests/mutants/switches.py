"""Writes mutants into the source, each behind a switch.

A mutant is an item of `cargo mutants --list --json` with a number. The code checks at run time whether the mutant
is switched on, and then runs the mutant's text instead of the original.
"""

import collections
import re

import tree_sitter
import tree_sitter_rust

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))

# The code that is appended to lib.rs. With MUTANTS_REACHED=FILE it writes the number of each mutant that is reached.
SWITCH = b"""
static MUTANT: std::sync::LazyLock<Option<u32>> =
    std::sync::LazyLock::new(|| std::env::var("MUTANT").ok()?.parse().ok());
static REACHED: std::sync::LazyLock<Option<(std::fs::File, Vec<std::sync::atomic::AtomicBool>)>> =
    std::sync::LazyLock::new(|| {
        let path = std::env::var_os("MUTANTS_REACHED")?;
        let file = std::fs::OpenOptions::new().append(true).open(path).ok()?;
        Some((file, (0..65536).map(|_| false.into()).collect()))
    });
pub(crate) fn mutant(number: u32) -> bool {
    if let Some((file, reached)) = &*REACHED {
        if !reached[number as usize].swap(true, std::sync::atomic::Ordering::Relaxed) {
            let _ = std::io::Write::write_all(&mut &*file, std::format!("{number}\\n").as_bytes());
        }
    }
    *MUTANT == Some(number)
}
// Before `main`: a test that counts allocations must not see these.
#[used]
#[unsafe(link_section = ".init_array")]
static READ_ENVIRONMENT: extern "C" fn() = {
    extern "C" fn read() {
        std::sync::LazyLock::force(&REACHED);
        std::sync::LazyLock::force(&MUTANT);
    }
    read
};
"""


class NotSwitchable(Exception):
    """A mutant that cannot have a switch, with the reason.

    `own build`: it needs its own build. `unviable`: it would not compile. `absent`: its code is not compiled with
    all features.
    """


class Source:
    def __init__(self, text):
        self.text = text
        self.lines = text.split(b"\n")
        self.root = PARSER.parse(text).root_node

    def with_mutants(self, mutants):
        """Returns the text with these mutants, and the reasons for those it leaves out."""
        sites, left_out = collections.defaultdict(list), {}
        for mutant in mutants:
            try:
                where, change = self.site(mutant)
                sites[where].append((b"crate::mutant(%d)" % mutant["number"], change))
            except NotSwitchable as reason:
                left_out[mutant["number"]] = str(reason)
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

        return render(0, len(self.text)), left_out

    def with_mutant(self, mutant):
        """Returns the text with this mutant in place of the original, without a switch."""
        start, end = (self.offset(mutant["span"][side]) for side in ("start", "end"))
        return self.text[:start] + mutant["replacement"].encode() + self.text[end:]

    def site(self, mutant):
        """Returns the bytes to replace, and a function from the switch and the original to the new text."""
        start, end = (self.offset(mutant["span"][side]) for side in ("start", "end"))
        node = self.root.descendant_for_byte_range(start, end)
        function = ancestor(node, "function_item")
        if ancestor(node, "const_item", "static_item") or function and is_const(function):
            raise NotSwitchable("own build")
        if function and is_absent(function):
            raise NotSwitchable("absent")
        new = mutant["replacement"].encode()

        def replaced(whole, text):
            return whole, lambda on, old: either(on, marked(mutant, text), old)

        match mutant["genre"]:
            case "FnValue":
                kind = function.child_by_field_name("return_type")
                if kind and b"impl " in kind.text:
                    raise NotSwitchable("own build")
                value = marked(mutant, b"return;" if new == b"()" else b"return %s;" % new)
                body = span(function.child_by_field_name("body"))
                return body, lambda on, old: b"{ if %s { %s }\n%s }" % (on, value, old)
            case "BinaryOperator":
                both = node.parent
                # `||` beside a `let` condition is a syntax error.
                if any(part.type in ("let_condition", "let_chain") for part in [both, *both.children]):
                    raise NotSwitchable("unviable")
                left, right = self.text[both.start_byte : start], self.text[end : both.end_byte]
                return replaced(span(both), left + b" " + new + b" " + right)
            case "UnaryOperator":
                whole = ancestor(node, "unary_expression")
                return replaced(span(whole), self.text[end : whole.end_byte])
            case "MatchArmGuard":
                return replaced((start, end), new)
            case "MatchArm":
                pattern = ancestor(node, "match_arm").child_by_field_name("pattern")
                guard = pattern.child_by_field_name("condition")
                if guard:
                    return span(guard), lambda on, old: b"(!%s && (%s))" % (on, old)
                behind = (pattern.end_byte, pattern.end_byte)
                return behind, lambda on, old: (old + b" && !" if old else b" if !") + on
            case "StructField":
                place = self.root.descendant_for_byte_range(start, start + 1)
                field = ancestor(place, "field_initializer", "shorthand_field_initializer")
                name, value = field.child_by_field_name("field"), field.child_by_field_name("value")
                others = ancestor(field, "field_initializer_list").children
                base = next(part for part in others if part.type == "base_field_initializer")
                text = b"{ let base = %s; base.%s }" % (base.children[-1].text, (name or field).text)
                if value:
                    return replaced(span(value), text)
                label = field.text + b": "
                return span(field), lambda on, old: label + either(on, marked(mutant, text), old)
        raise NotSwitchable("own build")

    def offset(self, position):
        above = sum(len(line) + 1 for line in self.lines[: position["line"] - 1])
        line = self.lines[position["line"] - 1].decode()
        return above + len(line[: position["column"] - 1].encode())


def is_const(function):
    return any(part.type == "function_modifiers" and b"const" in part.text for part in function.children)


def is_absent(function):
    """Whether the function is compiled only without a feature."""
    attribute = function.prev_named_sibling
    while attribute and attribute.type == "attribute_item":
        if b"cfg(not(feature" in attribute.text:
            return True
        attribute = attribute.prev_named_sibling
    return False


def ancestor(node, *kinds):
    while node and node.type not in kinds:
        node = node.parent
    return node


def span(node):
    return node.start_byte, node.end_byte


def either(on, new, old):
    return b"(if %s { %s } else { %s })" % (on, new, old)


def marked(mutant, text):
    return b"/*{%d*/%s/*%d}*/" % (mutant["number"], text, mutant["number"])


def mutants_at(text, start, end, is_exhaustive):
    """Returns the mutants that cause a compiler error at these bytes of the changed text.

    They are the mutants whose text contains the bytes or, for a non-exhaustive match, those that guard its arms.
    """
    numbers = set()
    for mark in re.finditer(rb"/\*\{(\d+)\*/", text):
        if mark.start() <= start <= text.index(b"/*%s}*/" % mark[1], mark.end()):
            numbers.add(int(mark[1]))
    if not numbers and not is_exhaustive:
        place = PARSER.parse(text).root_node.descendant_for_byte_range(start, end)
        whole = ancestor(place, "match_expression").text
        numbers = {int(number) for number in re.findall(rb"(?:if|&&) !crate::mutant\((\d+)\)", whole)}
    return numbers
