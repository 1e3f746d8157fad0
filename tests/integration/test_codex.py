"""Taking Codex' sessions in: the items of the conversation, how commands ended, plain and compressed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from codex_files import SESSION, Told, fixed_a_bug
from lora_tui.sources import read
from lora_tui.sources.codex.source import Codex
from lora_tui.sources.ingest import IngestReport, ingest
from lora_tui.sources.model import Message, own_words, text_of
from lora_tui.workspace.errors import SourceError
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "codex"


def take(workspace: Workspace, home: Path) -> IngestReport:
    return ingest(workspace, "codex", [home])


def conversation(workspace: Workspace, native_id: str = SESSION) -> list[Message]:
    return list(read.messages(workspace, read.session(workspace, native_id).id))


def taken(workspace: Workspace, home: Path, told: Told) -> list[Message]:
    told.write(home)
    report = take(workspace, home)
    assert report.quarantined == []
    return conversation(workspace)


def test_a_session_comes_out_as_it_was_had(home: Path, workspace: Workspace) -> None:
    messages = taken(workspace, home, fixed_a_bug())
    row = read.session(workspace, SESSION)
    assert (row.title, row.directory, row.version) == ("fix add in calc.py", "/home/dev/calc", "0.169.0")
    assert row.model == "lab/gpt-9-codex"
    assert [m.role for m in messages] == [
        *("system", "system", "user", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool"),
        "assistant",
    ]
    assert [m.content for m in messages[:2]] == ["You are Codex.", "Sandboxed."]
    answer = messages[4]
    assert (answer.content, answer.reasoning_content) == ("Reading.", "Look first.")
    assert answer.tool_calls[0].function.arguments == '{"cmd": "cat calc.py"}'


def test_words_of_the_program_and_piped_input_are_not_the_users(home: Path, workspace: Workspace) -> None:
    environment, request = taken(workspace, home, fixed_a_bug())[2:4]
    assert own_words(environment) == ""
    assert own_words(request).strip() == "fix add in calc.py"
    assert "".join(text_of(request).split()) == "fixaddincalc.py<stdin>1failed</stdin>"


def test_older_files_do_not_say_whose_words_they_are(home: Path, workspace: Workspace) -> None:
    told = Told()
    told.message("user", "# AGENTS.md instructions for /home/dev/calc\n\n<INSTRUCTIONS>\nBe kind.\n</INSTRUCTIONS>")
    told.message("user", "fix the sign please")
    told.message("assistant", "Fixed.")
    users = [m for m in taken(workspace, home, told) if m.role == "user"]
    assert [own_words(m) for m in users] == ["", "", "fix the sign please"]


def test_exit_codes_come_from_events_and_from_outputs(home: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.message("user", "run it once more please")
    told.call("call_4", "shell", '{"command":["pytest"]}')
    told.output("call_4", "Exit code: 5\nWall time: 2 seconds\nOutput:\nno tests")
    told.call("call_5", "exec_command", '{"cmd":"true"}')
    told.line("event_msg", {"type": "exec_command_end", "call_id": "call_5", "exit_code": 0})
    told.output("call_5", "")
    abouts = [m.about for m in taken(workspace, home, told) if m.role == "tool"]
    assert [about.exit for about in abouts] == [0, 1, 0, 5, 0]


def test_free_form_input_and_shell_actions_become_arguments(home: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.item("local_shell_call", call_id="call_9", status="completed", action={"type": "exec", "command": ["ls"]})
    told.output("call_9", [{"type": "input_text", "text": "calc.py"}])
    messages = taken(workspace, home, told)
    patch, shell = (call.function for m in messages for call in m.tool_calls if call.id in ("call_3", "call_9"))
    assert (patch.name, json.loads(patch.arguments)) == ("apply_patch", {"input": "*** Begin Patch\n*** End Patch"})
    assert (shell.name, json.loads(shell.arguments)["command"]) == ("local_shell", ["ls"])
    assert messages[-1].content == "calc.py"


def test_a_refused_call_is_an_error_without_exit_code(home: Path, workspace: Workspace) -> None:
    told = Told()
    told.message("user", "patch it please, now")
    told.call("call_1", "apply_patch", '{"input": "…"}')
    told.output("call_1", "unsupported call: apply_patch")
    about = taken(workspace, home, told)[-1].about
    assert (about.error, about.exit) == ("invalid", None)


def test_calls_made_at_once_belong_to_one_answer(home: Path, workspace: Workspace) -> None:
    told = Told()
    told.message("user", "look at both files")
    told.call("call_1", "exec_command", "{}")
    told.item("reasoning", summary=[{"type": "summary_text", "text": "And the other."}])
    told.call("call_2", "exec_command", "{}")
    told.output("call_2", "two")
    told.output("call_1", "one")
    messages = taken(workspace, home, told)[4:]
    assert [m.tool_call_id for m in messages] == ["", "call_1", "call_2"]
    assert len(messages[0].tool_calls) == 2


def test_what_is_said_while_a_command_runs_comes_after_its_output(home: Path, workspace: Workspace) -> None:
    told = Told()
    told.message("user", "run the tests please")
    told.call("call_1", "exec_command", "{}")
    told.message("user", "only the fast ones though")
    told.output("call_1", "1 passed")
    told.message("assistant", "They pass.")
    assert [text_of(m) for m in taken(workspace, home, told)[3:]] == [
        *("run the tests please", "", "1 passed", "only the fast ones though", "They pass.")
    ]


def test_a_stop_marks_the_answer_and_ends_open_calls(home: Path, workspace: Workspace) -> None:
    told = Told()
    told.message("user", "run everything you have")
    told.call("call_1", "exec_command", "{}")
    told.line("event_msg", {"type": "turn_aborted", "reason": "interrupted"})
    told.message("user", "<turn_aborted>\nThe user interrupted.\n</turn_aborted>")
    told.message("user", "run the fast tests only")
    told.message("assistant", "Well.")
    messages = taken(workspace, home, told)[4:]
    assert [(m.role, m.about.interrupted) for m in messages if m.role != "user"] == [
        *(("assistant", True), ("tool", True), ("assistant", False))
    ]


def test_a_stop_in_the_middle_of_words_is_known(home: Path, workspace: Workspace) -> None:
    told = Told()
    told.message("user", "tell me a long story")
    told.message("assistant", "Once upon")
    told.line("event_msg", {"type": "turn_aborted", "reason": "interrupted"})
    assert taken(workspace, home, told)[-1].about.interrupted


def test_the_head_that_a_fork_repeats_is_read_once(home: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.lines.insert(1, told.lines[0].replace(SESSION, "01a1f8dd-0000-7a93-95da-8473e0e59999"))
    assert [m.content for m in taken(workspace, home, told) if m.role == "system"] == ["You are Codex.", "Sandboxed."]


def test_a_compaction_and_a_later_order_of_the_program_are_not_requests(home: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.line("compacted", {"message": "We fixed add."})
    told.message("developer", "The sandbox is off now.")
    told.message("assistant", "Going on.")
    compaction, order, _ = taken(workspace, home, told)[-3:]
    assert (compaction.about.origin, own_words(compaction)) == ("compaction", "")
    assert (order.role, own_words(order)) == ("user", "")


def test_a_session_that_is_there_compressed_too_counts_once(home: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.write(home, ".jsonl.zst", "archived_sessions")
    report = take(workspace, home)
    assert (report.new, report.messages) == (1, 11)
    assert report.stores[0].generations == ("jsonl", "zst")
    told.message("user", "thank you very much indeed")
    told.write(home)
    report = take(workspace, home)
    assert (report.sessions, report.changed, report.messages) == (1, 1, 12)
    assert read.session(workspace, SESSION).origin.endswith(".jsonl")


def test_of_a_sessions_files_the_plain_one_is_read(home: Path, workspace: Workspace) -> None:
    fixed_a_bug().write(home, ".jsonl.zst")
    plain = fixed_a_bug().write(home, folder="archived_sessions")
    assert take(workspace, home).sessions == 1
    assert read.session(workspace, SESSION).origin == str(plain)


def test_a_second_ingest_opens_no_file(home: Path, workspace: Workspace) -> None:
    path = fixed_a_bug().write(home)
    take(workspace, home)
    before = path.stat()
    path.write_bytes(b"\x00" * before.st_size)  # the same from outside
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    report = take(workspace, home)
    assert (report.unchanged, report.messages, report.quarantined) == (1, 0, [])


def test_a_subagent_names_its_parent(home: Path, workspace: Workspace) -> None:
    child = fixed_a_bug("01a1f8dd-0000-7a93-95da-8473e0e50002")
    head = json.loads(child.lines[0])
    head["payload"]["source"] = {"subagent": {"thread_spawn": {"parent_thread_id": SESSION, "depth": 1}}}
    child.lines[0] = json.dumps(head)
    child.write(home)
    fixed_a_bug().write(home)
    take(workspace, home)
    assert read.session(workspace, child.session).parent == SESSION


def test_the_first_files_without_envelopes_are_read(home: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.lines = [
        json.dumps({"timestamp": "2025-06-01T00:00:00Z", **found["payload"]})
        for found in map(json.loads, told.lines)
        if found["type"] == "response_item"
    ]
    assert [m.role for m in taken(workspace, home, told)][-1] == "assistant"
    assert read.session(workspace, SESSION).title == "fix add in calc.py"


def test_damaged_lines_are_named_and_the_rest_is_read(home: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.lines.insert(1, "\x00 not json")
    told.lines.insert(6, '{"type": "response_item", "payload": {"type": 7}}')
    path = told.write(home)
    with path.open("ab") as file:
        file.write(b'{"timestamp":"2026-11-20T12:01:00.000Z","type":"respo')
    report = take(workspace, home)
    assert [row.native_id for row in report.quarantined] == ["line 2", "line 7", f"line {len(told.lines) + 1}"]
    assert len(conversation(workspace)) == 11


@pytest.mark.parametrize("lost", [1, 40, 200])
def test_a_torn_compressed_file_is_read_as_far_as_it_goes(home: Path, workspace: Workspace, lost: int) -> None:
    path = fixed_a_bug().write(home, ".jsonl.zst")
    path.write_bytes(path.read_bytes()[:-lost])
    assert take(workspace, home).failures == []


def test_a_file_that_is_not_compressed_at_all_is_named(home: Path, workspace: Workspace) -> None:
    path = fixed_a_bug().write(home, ".jsonl.zst")
    path.write_bytes(os.urandom(3_000))
    report = take(workspace, home)
    assert (report.sessions, [row.kind for row in report.quarantined]) == (0, ["session"])
    assert "compressed file is damaged" in report.quarantined[0].reason


def test_empty_files_and_rubbish_stop_nothing(home: Path, workspace: Workspace) -> None:
    for number, content in enumerate((b"", os.urandom(50_000), b"{}\n[]\n")):
        Told(f"01a1f8dd-0000-7a93-95da-8473e0e5100{number}").write(home).write_bytes(content)
    fixed_a_bug().write(home)
    report = take(workspace, home)
    assert (report.new, report.failures) == (1, [])


def test_histories_are_found_where_codex_keeps_them(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no sessions on this machine"):
        Codex({}).stores(())
    path = fixed_a_bug().write(home)
    (found,) = Codex({"CODEX_HOME": str(home)}).stores(())
    assert found.where == str(home)
    for place in (home, home / "sessions", path.parent, path):
        assert len(Codex({}).stores([place])) == 1
    (tmp_path / "other.jsonl").write_text('{"messages": []}\n')
    for other in (tmp_path / "other.jsonl", tmp_path / "gone", tmp_path):
        with pytest.raises(SourceError):
            Codex({}).stores([other] if other != tmp_path else [tmp_path / "workspace"])
