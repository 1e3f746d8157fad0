"""Mining's parts: the rules' own cases, how a message becomes a request, what encloses a change, what differs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.curation.language_rules import rules as language_rules
from lora_tui.sources.git.attributes import left_out
from lora_tui.sources.git.diff import Hunk, difference
from lora_tui.sources.git.edits import cut, whole_file
from lora_tui.sources.git.filters import definition_pattern, pattern, table
from lora_tui.sources.git.licence import licence
from lora_tui.sources.git.request import request, split

RULES = [rule for rule in table().rule if rule.pattern]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_finds_its_cases_and_no_others(rule) -> None:  # type: ignore[no-untyped-def]
    found = pattern(rule)
    assert [case for case in rule.yes if not found.search(case)] == []
    assert [case for case in rule.no if found.search(case)] == []
    assert rule.yes
    assert rule.no
    if rule.needs:
        assert [case for case in rule.yes if not any(literal in case.lower() for literal in rule.needs)] == []


@pytest.mark.parametrize("name", [name for name, row in table().language.items() if row.definition])
def test_a_language_knows_its_definitions(name: str) -> None:
    row = table().language[name]
    found = definition_pattern(name)
    assert [case for case in row.yes if not found.match(case.encode())] == []
    assert [case for case in row.no if found.match(case.encode())] == []


def test_languages_have_the_names_the_classifier_gives_them() -> None:
    known = language_rules().by_extension
    assert {
        (ending, name)
        for name, row in table().language.items()
        for ending in row.extensions
        if known.get(ending) != name
    } == set()


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("Add a cache for rates (#12)", "Add a cache for rates."),
        ("feat(api)!: paging of long lists", "Add paging of long lists."),
        ("fix: crash on empty input", "Fix this: crash on empty input."),
        ("fix: handle empty input", "Handle empty input."),
        ("perf: the lexer (GH-9)", "Speed up the lexer."),
        ("[Fix #123] Allow blanks in names", "Allow blanks in names."),
        ("net/http: reject long headers", "Reject long headers."),
        (":sparkles: Add dark colours", "Add dark colours."),
        ("Fix #77 by counting twice?", "Fix #77 by counting twice?"),
        ("Count twice, closes #12", "Count twice."),
        ("HTTPClient must not retry", "HTTPClient must not retry."),
        ("Fix: memory leak in the lexer", "Fix this: memory leak in the lexer."),
        ("[BUGFIX] Crash on empty input", "Fix this: Crash on empty input."),
        ("Fix #123: crash on empty input", "Fix this: crash on empty input."),
        ("Closes #12. Handle empty lists", "Handle empty lists."),
        ("Handle empty lists [Bug #9]", "Handle empty lists."),
        ("Added paging of long lists", "Add paging of long lists."),
        ("Fixes a crash on empty input", "Fix a crash on empty input."),
        ("Changes to the lexer for blanks", "Changes to the lexer for blanks."),
        ("Use \x1b[31mred\x1b[0m for errors\x07 now", "Use red for errors now."),
        ("修复解析器在空输入时崩溃的问题", "修复解析器在空输入时崩溃的问题。"),
        (
            "Count twice\n\nOnce is not enough.\n\nCloses #12\nSigned-off-by: A B <a@b.example>\nChange-Id: I0f",
            "Count twice.\n\nOnce is not enough.",
        ),
        ("Count\ntwice\n\nCo-authored-by: A <a@b.example>", "Count twice."),
        ("Count twice\n\nThis fixes #12, and keeps `Fixes` apart.\nResolves: #9, #10", None),
    ],
)
def test_a_message_becomes_what_a_user_would_ask(message: str, asked: str | None) -> None:
    said = request(*split(message))
    if asked is None:
        assert "`Fixes` apart" in said
        assert "Resolves" not in said
    else:
        assert said == asked


@given(st.text(max_size=200), st.text(max_size=300))
def test_every_message_gives_the_same_request_each_time(subject: str, body: str) -> None:
    message = f"{subject}\n\n{body}"
    assert request(*split(message)) == request(*split(message))


_LINES = st.lists(st.sampled_from([b"alpha = 1", b"beta", b"end", b"", b"  gamma(2)", b"\r", b"delta"]), max_size=30)


@given(_LINES, _LINES, st.booleans(), st.booleans())
def test_hunks_turn_the_file_before_into_the_file_after(a: list[bytes], b: list[bytes], x: bool, y: bool) -> None:
    before, after = b"\n".join(a) + b"\n" * x, b"\n".join(b) + b"\n" * y
    found = difference(before, after, 1000)
    assert found is not None
    assert _replayed(before, after, found.hunks) == after


def _replayed(before: bytes, after: bytes, hunks: list[Hunk]) -> bytes:
    out, position = [], 0
    for hunk in hunks:
        out += [before[position : hunk.a0], after[hunk.b0 : hunk.b1]]
        position = hunk.a1
    return b"".join([*out, before[position:]])


def test_a_change_of_too_many_lines_is_not_looked_at() -> None:
    before = b"".join(b"line %d\n" % number for number in range(500))
    assert difference(before, before.replace(b"line", b"row"), 200) is None
    found = difference(before, before.replace(b"line 7\n", b"row 7\n"), 200)
    assert found is not None
    assert (found.removed, found.added) == ([b"line 7\n"], [b"row 7\n"])


@given(_LINES, _LINES)
def test_edits_find_their_place_exactly_once_and_give_the_file_after(a: list[bytes], b: list[bytes]) -> None:
    before, after = b"\n".join(a), b"\n".join(b)
    found = difference(before, after, 1000)
    assert found is not None
    if not found.hunks or not before:
        return
    text = before.decode()
    for edited in (whole_file(before, after, found.hunks), cut("a.rb", "ruby", before, after, found.hunks, 500)):
        made = text
        for piece in edited.pieces:
            assert made.find(piece.old) == made.rfind(piece.old) or piece.old == text
            assert "\n".join(text.split("\n")[piece.line - 1 :]).startswith(piece.old)
            made = piece.new if piece.old == text else made.replace(piece.old, piece.new)
        assert made == after.decode()


ENCLOSED = {
    "python": (
        "a.py",
        "class A:\n{filler}    @cached\n    def f(\n        self,\n    ) -> int:\n        x = 1\n        if x:\n"
        "            x = 2\n        else:\n            x = 3\n        return x\n\n    def g(self):\n        pass\n",
        "            x = 3\n",
        "    @cached\n    def f(",
        "        return x\n",
    ),
    "rust": (
        "a.rs",
        "impl A {{\n{filler}    /// Why.\n    #[inline]\n    pub fn f<T>(\n        a: T,\n    ) -> u8\n    where\n"
        "        T: Copy,\n    {{\n        let x = 1;\n        x\n    }}\n\n    fn g() {{}}\n}}\n",
        "        let x = 1;\n",
        "    /// Why.\n    #[inline]\n    pub fn f<T>(",
        "        x\n    }\n",
    ),
    "typescript": (
        "a.tsx",
        "export class A {{\n{filler}  async load(path: string): Promise<void> {{\n    try {{\n      await x();\n"
        "    }} catch (e) {{\n      throw e;\n    }}\n  }}\n\n  size() {{\n    return 1;\n  }}\n}}\n",
        "      throw e;\n",
        "  async load(",
        "    }\n  }\n",
    ),
    "ruby": (
        "a.rb",
        "class A\n{filler}  # Why.\n  def f(a)\n    b = if a\n      1\n    else\n      2\n    end\n    b\n  rescue E\n"
        "    nil\n  end\n\n  def g; end\nend\n",
        "    b\n",
        "  # Why.\n  def f(a)\n",
        "    nil\n  end\n",
    ),
    "swift": (
        "a.swift",
        "struct A {{\n{filler}    public init?(x: Int) {{\n        guard x > 1 else {{\n            return nil\n"
        "        }}\n        y = x\n    }}\n\n    func g() {{}}\n}}\n",
        "        y = x\n",
        "    public init?(x: Int) {\n",
        "        y = x\n    }\n",
    ),
    "go": (
        "a.go",
        "package a\n\n{filler}// F.\nfunc (a *A) F() int {{\n\tif a == nil {{\n\t\treturn 1\n\t}}\n\treturn 2\n}}\n"
        "\nfunc G() {{}}\n",
        "\treturn 2\n",
        "// F.\nfunc (a *A) F() int {\n",
        "\treturn 2\n}\n",
    ),
    "javascript": (
        "a.js",
        "{filler}const f = async (x) => {{\n  if (x) {{\n    return 1;\n  }}\n  return 2;\n}};\n\nfunction g() {{}}\n",
        "  return 2;\n",
        "const f = async",
        "  return 2;\n};\n",
    ),
    "shell": (
        "a.sh",
        "{filler}run_all() {{\n  for one in a b; do\n    echo \"$one\"\n  done\n}}\n\nrun_all\n",
        '    echo "$one"\n',
        "run_all() {\n",
        "  done\n}\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", ENCLOSED)
def test_a_cut_is_the_whole_function_with_what_belongs_to_it(language: str) -> None:
    path, code, line, starts, ends = ENCLOSED[language]
    comment = "#" if language in ("python", "ruby", "shell") else "//"
    before = code.format(filler=f"{comment} a long story\n\n" * 300)
    after = before.replace(line, line.rstrip() + f" {comment} changed\n", 1)
    found = difference(before.encode(), after.encode(), 100)
    assert found is not None
    (piece,) = cut(path, language, before.encode(), after.encode(), found.hunks, 3000).pieces
    assert piece.old.startswith(starts)
    assert piece.old.endswith(ends)
    assert piece.new == piece.old.replace(line, line.rstrip() + f" {comment} changed\n", 1)


def test_a_string_that_looks_like_code_does_not_mislead_the_cut() -> None:
    code = "class A\n" + "  # story\n\n" * 300 + "  def f(a)\n    b = <<~X\n  end of it (\nX\n    b + a\n  end\nend\n"
    after = code.replace("    b + a\n", "    b - a\n")
    found = difference(code.encode(), after.encode(), 100)
    assert found is not None
    (piece,) = cut("a.rb", "ruby", code.encode(), after.encode(), found.hunks, 3000).pieces
    assert piece.old == code[code.index("  def f") : code.index("end\n", len(code) - 4)]


def test_a_new_method_comes_with_the_whole_one_before_it() -> None:
    code = "class A\n" + "".join(f"  def a{n}\n    {n}\n  end\n\n" for n in range(300)) + "end\n"
    after = code.replace("  def a150\n", "  def b\n    1\n  end\n\n  def a150\n")
    found = difference(code.encode(), after.encode(), 100)
    assert found is not None
    (piece,) = cut("a.rb", "ruby", code.encode(), after.encode(), found.hunks, 3000).pieces
    assert re.match(r"  def a149\n", piece.old)
    assert "  def b\n    1\n  end\n" in piece.new


def test_a_method_that_is_taken_out_is_shown_with_the_lines_it_stood_between() -> None:
    code = "class A\n" + "".join(f"  def a{n}\n    {n}\n  end\n\n" for n in range(300)) + "end\n"
    after = code.replace("  def a150\n    150\n  end\n\n", "")
    found = difference(code.encode(), after.encode(), 100)
    assert found is not None
    (piece,) = cut("a.rb", "ruby", code.encode(), after.encode(), found.hunks, 3000).pieces
    above, below = "    149\n  end\n\n", "  def a151\n    151\n  end\n"
    assert above + below in piece.new
    assert above + "  def a150\n    150\n  end\n\n" + below in piece.old


def test_the_last_line_of_gitattributes_that_speaks_of_a_path_counts() -> None:
    asked = left_out(
        "*.pb.rb linguist-generated=true\nlib/own/** -linguist-generated\n/vendored/*.c linguist-vendored\n"
    )
    assert asked("a/b.pb.rb")
    assert not asked("lib/own/x.pb.rb")
    assert asked("vendored/a.c")
    assert not asked("vendored/deep/a.c")
    assert not asked("other.rb")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"Cargo.toml": '[package]\nlicense = "MIT/Apache-2.0"'}, "MIT OR Apache-2.0"),
        ({"package.json": '{"license": "ISC"}', "LICENSE": "something else"}, "ISC"),
        ({"x.gemspec": "spec.license = 'MIT'"}, "MIT"),
        ({"LICENSE-MIT": "Permission is hereby granted, free\nof charge, to any person obtaining a copy",
          "LICENSE-APACHE": "Apache License\n  Version 2.0, January 2004"}, "Apache-2.0 OR MIT"),
        ({"COPYING": "GNU AFFERO GENERAL PUBLIC LICENSE Version 3"}, "AGPL-3.0"),
        ({"package.json": "not json", "LICENSE": "All rights reserved."}, ""),
    ],
)  # fmt: skip
def test_the_licence_is_what_the_files_say(files: dict[str, str], expected: str) -> None:
    assert licence(files) == expected
