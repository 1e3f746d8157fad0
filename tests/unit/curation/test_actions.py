"""What a call does is read the same way from every agent's words."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.curation.actions import Action, action, edits_in_text, files_written_by
from lora_tui.curation.tool_names import table
from lora_tui.sources.model import Function, ToolCall

PATCH = "*** Begin Patch\n*** Update File: lib/a.rb\n@@\n-x\n+y = 1\n*** Add File: b.rb\n+z\n*** End Patch"


def of(name: str, arguments: object) -> Action:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return action(ToolCall(id="c", function=Function(name=name, arguments=text)))


@pytest.mark.parametrize("row", table().writes, ids=lambda row: row.yes[0][0][:16])
def test_every_pattern_of_a_writing_command_holds_its_cases(row: object) -> None:
    for command, path in row.yes:
        found = re.search(row.pattern, command, re.M)
        assert found, command
        assert found["path"] == path
    for command in row.no:
        assert not re.search(row.pattern, command, re.M), command


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("edit", {"filePath": "a.rb", "oldString": "x", "newString": "y = 1"}),
        ("Edit", {"file_path": "a.rb", "old_string": "x", "new_string": "y = 1"}),
        ("MultiEdit", {"file_path": "a.rb", "edits": [{"old_string": "x", "new_string": "y = 1"}]}),
        ("write", {"path": "a.rb", "content": "y = 1"}),
    ],
)
def test_an_edit_says_which_file_and_what_is_written(name: str, arguments: object) -> None:
    found = of(name, arguments)
    assert (found.kind, found.paths, [piece.text for piece in found.written]) == ("edit", ("a.rb",), ["y = 1"])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("apply_patch", {"patchText": PATCH}),
        ("apply_patch", {"input": PATCH}),
        ("apply_patch", PATCH),
        ("shell", {"command": ["apply_patch", PATCH]}),
        ("exec_command", {"cmd": f"apply_patch <<'EOF'\n{PATCH}\nEOF\n"}),
    ],
)
def test_a_patch_says_its_files_however_it_was_sent(name: str, arguments: object) -> None:
    found = of(name, arguments)
    assert found.edits
    assert found.paths == ("lib/a.rb", "b.rb")
    assert found.written[0].text == "y = 1\nz"


def test_a_command_is_one_line_of_shell_whether_sent_as_text_or_list() -> None:
    for name, arguments in (
        ("bash", {"command": "cargo test"}),
        ("exec_command", {"cmd": "cargo test"}),
        ("shell", {"command": ["bash", "-lc", "cargo test"]}),
    ):
        found = of(name, arguments)
        assert (found.kind, found.command, found.edits) == ("command", "cargo test", False)


def test_a_here_document_into_a_file_is_an_edit_of_it() -> None:
    (written,) = files_written_by("mkdir -p lib && cat > lib/a.rb <<'RUBY'\ndef a\nend\nRUBY\nruby -c lib/a.rb")
    assert written == ("lib/a.rb", "def a\nend")
    assert of("bash", {"command": "cat > a.rb <<'EOF'\nx\nEOF"}).edits


def test_what_a_script_on_standard_input_compares_is_no_file() -> None:
    assert files_written_by("python3 - <<'EOF'\nif a > b.c:\n    pass\nEOF") == []


def test_search_replace_blocks_in_an_answer_are_edits() -> None:
    answer = (
        "I'll change it.\n\nsrc/hello.py\n```python\n"
        "<<<<<<< SEARCH\nprint(1)\n=======\nprint(2)\n>>>>>>> REPLACE\n```\n"
        "\nnew.py\n```python\n<<<<<<< SEARCH\n=======\nx = 1\n>>>>>>> REPLACE\n```\n"
    )
    assert edits_in_text(answer) == [("src/hello.py", "print(2)\n"), ("new.py", "x = 1\n")]


def test_arguments_that_cannot_be_read_leave_the_kind() -> None:
    assert of("edit", '{"filePath": "a') == Action("edit", "edit", False)


def test_several_blocks_below_one_name_are_edits_of_that_file() -> None:
    block = "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n"
    assert [piece.path for piece in edits_in_text(f"**lib/a.rb**\n```ruby\n{block}{block}```\n")] == ["lib/a.rb"] * 2


def test_a_block_that_is_never_closed_is_no_edit() -> None:
    assert edits_in_text("a.rb\n<<<<<<< SEARCH\na\n=======\nb\n REPLACE") == []


def test_shifts_and_here_strings_are_no_documents() -> None:
    assert files_written_by("x=$((1 << 2))\ncat <<< word\necho x > a.rb") == [("a.rb", "")]


@given(st.text(st.sampled_from("<>=|&;EOF 'a.rb\nsedi-\"tcx"), max_size=300))
def test_no_command_and_no_answer_is_too_strange_to_read(text: str) -> None:
    for written in (*files_written_by(text), *edits_in_text(text)):
        assert isinstance(written.path, str)
