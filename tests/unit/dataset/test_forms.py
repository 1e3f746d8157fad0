"""The three forms of an edit: whoever applies the answer to what was shown gets the edited file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lora_tui.dataset import forms
from lora_tui.dataset.blocks import blocks
from lora_tui.dataset.replay import Change, Part
from lora_tui.dataset.unfit import NotReplayable
from lora_tui.workspace.profiles import Form

FORMS: tuple[Form, ...] = ("search-replace", "diff", "new-code")

# Few different lines, so that the same ones come again; marks, fences and odd white space among them.
LINES = st.lists(
    st.sampled_from(
        ["", "a", "b", "  a", "a\t", "fn x() {", "}", "```", "- minus", "+ plus", "\r", "\x0c", "é\u2028é"]
    ),
    max_size=12,
)


def text(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """A file in one to three parts, something in it edited."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        before = draw(LINES)
        after = list(before)
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(after)))
            after[at : at + draw(st.integers(0, 2))] = draw(
                st.lists(st.sampled_from(["new", "a", "}", ""]), max_size=3)
            )
        parts.append(Part(text(before), text(after)))
    change = Change("src/some file.rs", tuple(parts))
    assume(change.edited and (len(parts) == 1 or all(part.before for part in parts)))
    return change


def fences(answer: str) -> list[str]:
    """What stands between fences, in order."""
    return [found[2] for found in re.finditer(r"^(`{3,})[a-z]*\n(.*?)^\1$", answer, re.M | re.S)]


@given(changes())
def test_search_replace_blocks_make_the_edited_file_and_each_search_occurs_once(change: Change) -> None:
    change = msgspec.structs.replace(change, path="src/file.rs")
    try:
        answer = forms.rendered([change], "search-replace")
    except NotReplayable as error:
        assume("occur twice" not in str(error))  # two parts alike: told apart by nothing
        raise
    parts = [part.before for part in change.parts]
    for block in blocks(answer):
        assert block.path == "src/file.rs"
        if block.old:
            assert sum(part.count(block.old) for part in parts) == 1
            parts = [part.replace(block.old, block.new) for part in parts]
        else:
            parts[parts.index("")] = block.new
    assert parts == [part.after for part in change.parts]


@given(changes())
def test_new_code_stands_for_the_parts_that_change(change: Change) -> None:
    answer = forms.rendered([change], "new-code")
    assert fences(answer) == [part.after for part in change.parts if part.before != part.after]
    assert fences(forms.shown(change)) == [part.before for part in change.parts if part.before]


@settings(max_examples=40, deadline=None)
@given(change=changes())
def test_git_applies_the_diff_of_each_part_to_what_was_shown(
    change: Change, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("diff")
    (folder / "src").mkdir()
    sections = re.split(r"^(?=--- )", fences(forms.rendered([change], "diff"))[0], flags=re.M)[1:]
    edited = [part for part in change.parts if part.before != part.after]
    sections = merged(sections)
    assert len(sections) == len(edited)
    for part, section in zip(edited, sections, strict=True):
        file = folder / "src" / "some file.rs"
        file.write_bytes(part.before.encode())
        applied(folder, section)
        assert (file.read_bytes() if file.exists() else b"") == part.after.encode()


def merged(sections: list[str]) -> list[str]:
    """A removed line that begins with two dashes looks like a head: put it back."""
    found: list[str] = []
    for section in sections:
        if section.startswith("--- a/"):
            found.append(section)
        else:
            found[-1] += section
    return found


def applied(folder: Path, diff: str) -> None:
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"], input=diff.encode(), cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode() + diff


@pytest.mark.parametrize("form", FORMS)
def test_a_new_file_is_given_whole(form: Form, tmp_path: Path) -> None:
    change = Change("src/new.rs", (Part("", "fn main() {}\n"),), created=True)
    answer = forms.rendered([change], form)
    assert forms.shown(change) == ""
    assert "src/new.rs" in answer
    if form == "diff":
        applied(tmp_path, fences(answer)[0])
        assert (tmp_path / "src/new.rs").read_text() == "fn main() {}\n"
    else:
        assert "fn main() {}\n" in answer


def test_a_file_that_holds_block_marks_is_no_search_replace_row() -> None:
    change = Change("README.md", (Part("<<<<<<< SEARCH\n", "x\n"),))
    with pytest.raises(NotReplayable, match="holds the marks"):
        forms.rendered([change], "search-replace")
    assert forms.rendered([change], "new-code")


def test_a_fence_in_the_code_does_not_end_the_block() -> None:
    change = Change("a.md", (Part("one\n", "```\ncode\n```\n"),))
    assert fences(forms.rendered([change], "new-code")) == ["```\ncode\n```\n"]
