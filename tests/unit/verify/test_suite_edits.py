"""Changing a part of a suite leaves every other byte as it was, or leaves all of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lora_tui.verify.suites import edits as suite_edits
from lora_tui.verify.suites import values as suite_values
from lora_tui.verify.suites.editing import Editing
from lora_tui.verify.suites.suite import suite_paths
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

TEXT = """\
# at the top
prompts: ["{{prompt}}"]
shared: &shared {type: contains, value: x}
tests:
# before the first
- vars: {prompt: "a # b"}   # of the first
  # within
  assert:
  # before
  - type: contains   # t
    value: |
      # no comment
      x
      # nor this

    weight: 2
  - {type: equals, value: 'it''s'}
  - *shared
  # at the end of the first

# before the second
-   description: two   # d
    vars:
        prompt: >-
          folded
          text
    assert:
        -   type: regex
            value: "a\\tb"
            # after
"""


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (
            lambda t: suite_edits.put(t, ("tests", 0, "vars", "prompt"), "new: c"),
            '{prompt: "a # b"}',
            "{prompt: 'new: c'}",
        ),
        (lambda t: suite_edits.put(t, ("tests", 1, "description"), "3"), "two   # d", "'3'   # d"),
        (
            lambda t: suite_edits.put(t, ("tests", 0, "assert", 0, "type"), "icontains"),
            "contains   # t",
            "icontains   # t",
        ),
        (lambda t: suite_edits.put(t, ("tests", 0, "assert", 0, "weight"), 3), "weight: 2", "weight: 3"),
        (lambda t: suite_edits.put(t, ("tests", 0, "assert", 1, "weight"), 3), "'it''s'}", "it's, weight: 3}"),
        (lambda t: suite_edits.put(t, ("tests", 1, "assert", 0, "value"), 'a"b'), '"a\\tb"', '"a\\"b"'),
        (
            lambda t: suite_edits.put(t, ("tests", 1, "threshold"), 0.5),
            "            # after\n",
            "    threshold: 0.5\n            # after\n",
        ),
        (
            lambda t: suite_edits.put(t, ("tests", 1, "vars", "prompt"), "one\n  two\n"),
            ">-\n          folded\n          text\n",
            "|\n          one\n            two\n",
        ),
        (
            lambda t: suite_edits.put(t, ("tests", 0, "assert", 0, "value"), ["y", "yes"]),
            " |\n      # no comment\n      x\n      # nor this\n",
            "\n      - y\n      - 'yes'\n",
        ),
        (
            lambda t: suite_edits.insert(t, ("tests", 1, "assert"), 1, {"type": "is-json"}),
            '"a\\tb"\n',
            '"a\\tb"\n        - type: is-json\n',
        ),
        (lambda t: suite_edits.remove(t, ("tests", 0, "assert", 1)), "  - {type: equals, value: 'it''s'}\n", ""),
        (lambda t: suite_edits.remove(t, ("tests", 0, "assert", 0, "weight")), "    weight: 2\n", ""),
        (lambda t: suite_edits.remove(t, ("tests", 1, "description")), "description: two   # d\n    vars", "vars"),
    ],
)
def test_only_what_was_meant_is_another(change: Callable[[str], str], old: str, new: str) -> None:
    found = change(TEXT)
    assert old in TEXT
    assert found == TEXT.replace(old, new)


def test_a_copy_has_the_comments_of_the_original() -> None:
    found = suite_edits.copy(TEXT, ("tests", 0, "assert", 0))
    block = TEXT[TEXT.index("  - type: contains   # t") : TEXT.index("  - {type: equals")]
    assert found == TEXT.replace(block, block + block)


def test_the_first_and_the_last_of_a_list_can_go_and_come() -> None:
    text = "prompts: [a]\ntests:\n  - assert:\n      # why\n      - type: is-json\n"
    none = suite_edits.remove(text, ("tests", 0, "assert", 0))
    assert none == "prompts: [a]\ntests:\n  - assert: []\n      # why\n"
    one = suite_edits.insert(none, ("tests", 0, "assert"), 0, {"type": "contains", "value": "a: b\n"})
    assert suite_edits.plain(one)["tests"][0]["assert"] == [{"type": "contains", "value": "a: b\n"}]
    assert "# why" in one
    begun = suite_edits.insert("prompts: [a]\n", ("tests",), 0, {"assert": []})
    assert begun == "prompts: [a]\ntests:\n  - assert: []\n"


def test_what_cannot_be_written_alone_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot be changed here") as caught:
        suite_edits.put(TEXT, ("tests", 0, "assert", 2, "value"), "y")  # it would change for others too
    assert caught.value.where == "line 3"
    with pytest.raises(BadInput, match="cannot be changed here"):
        suite_edits.put("a: &a [1]\nb: *a\n", ("a",), 2)
    with pytest.raises(BadInput, match="cannot be changed here"):
        suite_edits.remove("a: &a {language: ruby}\nb:\n  <<: *a\n  k: 1\n", ("b", "language"))
    for text in ("tests: {path: more.csv}\n", "tests: 5\n"):
        with pytest.raises(BadInput, match="it is no list"):
            suite_edits.insert(text, ("tests",), 0, {"vars": {}})


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "1e3",
        "010",
        "12:30",
        "",
        " x ",
        "# a",
        "- b",
        "a: b",
        "{c}",
        "t\tu",
        "✓\n\n",
        "\n x",
        "a\r",
        "@d",
        3,
        0.5,
    ],
)
def test_every_text_comes_back_as_it_was_typed(workspace: Workspace, value: object) -> None:
    for name in ("gerbil", "rust"):
        text = suite_paths(workspace)[name].read_text()
        for path in (("tests", 1, "vars", "prompt"), ("tests", 0, "assert", 0, "value"), ("tests", 2, "x", "y")):
            found = suite_edits.put(text, path, value)
            back = suite_edits.plain(found)
            for key in path:
                back = back[key]  # type: ignore[index]
            assert back == value
            assert yaml.safe_load(found)  # others read YAML 1.1


@pytest.mark.parametrize(
    ("before", "form", "typed", "after"),
    [
        ("solid, liquid", "solid\nliquid", "solid\nliquid\ngas", ["solid", "liquid", "gas"]),
        (["a", 1], "a\n1", "a\n1\nb", ["a", "1", "b"]),
        (["a\nb", "c"], '["a\\nb", "c"]', '["a\\nb", "c", "d"]', ["a\nb", "c", "d"]),
        ("{{words}}", "{{words}}", "{{words}}, more", "{{words}}, more"),  # its commas count when it is filled in
        ("file://words.txt", "file://words.txt", "file://others.txt", "file://others.txt"),
        (None, "", "a, b\nc", ["a, b", "c"]),
    ],
)
def test_a_text_added_to_several_leaves_the_others_what_they_were(
    before: object, form: str, typed: str, after: object
) -> None:
    assert suite_values.shown("contains-all", before) == form
    assert before is None or suite_values.typed("contains-all", form, before) is before
    assert suite_values.typed("contains-all", typed, before) == after


def test_a_draft_is_found_again_wherever_the_suite_it_began_from_lies_by_now(
    workspace: Workspace, tmp_path: Path
) -> None:
    for version in ("one", "two"):  # as another version of the program ships it
        (tmp_path / version).mkdir()
        (tmp_path / version / "shared.yaml").write_text(TEXT)
    Editing(workspace, tmp_path / "one" / "shared.yaml").change(TEXT + "# mine\n")
    found = Editing(workspace, tmp_path / "two" / "shared.yaml")
    assert (found.recovered, found.text) == (True, TEXT + "# mine\n")
    found.undo()
    assert found.text == TEXT


def test_a_draft_of_a_shipped_suite_does_not_write_over_an_own_one_made_meanwhile(
    workspace: Workspace, tmp_path: Path
) -> None:
    shipped = suite_paths(workspace)["tiny"]
    text = shipped.read_text()
    Editing(workspace, shipped).change(text + "# mine\n")
    own = workspace.profiles / "suites" / "tiny.yaml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(text + "# another\n")
    found = Editing(workspace, own)
    assert found.text == text + "# mine\n"
    with pytest.raises(BadInput, match="another program changed the file"):
        found.save()
    assert own.read_text() == text + "# another\n"
    assert Editing(workspace, own).text == text + "# mine\n"
