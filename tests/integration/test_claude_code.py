"""Taking Claude Code's sessions in: what was said, by whom, on which branch, and only once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from claude_files import MODEL, SESSION, Told, fixed_a_bug, text, use
from lora_tui.sources import read
from lora_tui.sources.claude_code.source import ClaudeCode
from lora_tui.sources.ingest import IngestReport, ingest
from lora_tui.sources.model import ImagePart, Message, own_words, text_of
from lora_tui.workspace.errors import SourceError
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    return tmp_path / "projects"


def take(workspace: Workspace, projects: Path) -> IngestReport:
    return ingest(workspace, "claude-code", [projects])


def conversation(workspace: Workspace, native_id: str = SESSION) -> list[Message]:
    return list(read.messages(workspace, read.session(workspace, native_id).id))


def taken(workspace: Workspace, projects: Path, told: Told) -> list[Message]:
    told.write(projects)
    report = take(workspace, projects)
    assert report.quarantined == []
    return conversation(workspace)


def test_a_session_comes_out_as_it_was_had(projects: Path, workspace: Workspace) -> None:
    messages = taken(workspace, projects, fixed_a_bug())
    row = read.session(workspace, SESSION)
    assert (row.title, row.directory, row.version) == ("fix add in calc.py", "/home/dev/calc", "2.1.329")
    assert row.model == f"anthropic/{MODEL}"
    assert [m.role for m in messages] == [
        *("user", "assistant", "tool", "assistant", "tool", "tool", "assistant", "tool", "assistant")
    ]
    assert own_words(messages[0]) == "fix add in calc.py"
    assert "Today's date" in text_of(messages[0])
    assert (messages[1].content, messages[1].reasoning_content) == ("Let me look.", "Look first.")


def test_calls_made_at_once_keep_their_outputs_in_order(projects: Path, workspace: Workspace) -> None:
    messages = taken(workspace, projects, fixed_a_bug())
    assert [call.function.name for call in messages[3].tool_calls] == ["Edit", "Bash"]
    assert [m.tool_call_id for m in messages[4:6]] == ["toolu_2", "toolu_3"]


def test_a_file_that_ends_with_outputs_of_calls_made_at_once_has_all_calls(
    projects: Path, workspace: Workspace
) -> None:
    told = Told()
    told.user("look at both files")
    one, two = told.answer("msg_1", use("toolu_1", "Read", file_path="a"), use("toolu_2", "Read", file_path="b"))
    told.result("toolu_2", "two", after=two)
    told.result("toolu_1", "one", after=one)
    messages = taken(workspace, projects, told)
    assert len(messages[1].tool_calls) == 2
    assert [m.content for m in messages[2:]] == ["one", "two"]


def test_arguments_are_kept_byte_for_byte(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("go on and on")
    told.answer("msg_1", use("toolu_1", "Bash", command="MARK"))
    told.lines[-1] = told.lines[-1].replace('{"command": "MARK"}', '{ "command":"echo  \\u00e9" ,"n":1.0}')
    told.result("toolu_1", "é")
    assert taken(workspace, projects, told)[1].tool_calls[0].function.arguments == (
        '{ "command":"echo  \\u00e9" ,"n":1.0}'
    )


def test_how_commands_ended_is_known(projects: Path, workspace: Workspace) -> None:
    messages = taken(workspace, projects, fixed_a_bug())
    read_, edit, failed, passed = (m.about for m in messages if m.role == "tool")
    assert [(about.error, about.exit) for about in (read_, edit)] == [("", None)] * 2
    assert (failed.error, failed.exit) == ("error", 2)
    assert (passed.error, passed.exit) == ("", 0)


def test_what_the_user_went_back_from_is_left_out(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("write a greeting please")
    (greeted,) = told.answer("msg_1", text("Hello."))
    told.user("no, make it much ruder")
    told.answer("msg_2", text("Oi."))
    told.user("make it a little warmer", after=greeted)
    told.answer("msg_3", text("Dear friend."))
    assert [text_of(m) for m in taken(workspace, projects, told)] == [
        *("write a greeting please", "Hello.", "make it a little warmer", "Dear friend.")
    ]


def test_a_line_that_was_cleaned_away_does_not_cut_the_conversation(projects: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    del told.lines[2]  # the reminder that the first answer hangs on
    assert len(taken(workspace, projects, told)) == 9


def test_a_compaction_begins_anew_and_loses_nothing(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("write a greeting please")
    (before,) = told.answer("msg_1", text("Hello."))
    told.user("a request that was gone back from")
    told.line("system", {"subtype": "compact_boundary", "after": None, "logicalParentUuid": before})
    told.user("This session is being continued …", isCompactSummary=True)
    told.answer("msg_2", text("Going on."))
    messages = taken(workspace, projects, told)
    assert [m.about.origin for m in messages] == ["", "", "compaction", ""]
    assert own_words(messages[2]) == ""


def test_words_of_the_program_are_not_the_users(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("Caveat: what follows was typed into a shell", isMeta=True)
    told.user("<command-name>/model</command-name>\n<command-args></command-args>")
    told.user([text("<ide_selection>x = 1</ide_selection>"), text("why is x one?")])
    told.answer("msg_1", text("Because."))
    told.user("<task-notification>\n<task-id>a1</task-id>\n</task-notification>")
    told.answer("msg_2", text("Noted."))
    told.line("attachment", {"attachment": {"type": "queued_command", "prompt": "and what is y?"}})
    told.answer("msg_3", text("Two."))
    asked = [own_words(m) for m in taken(workspace, projects, told) if m.role == "user"]
    assert asked == ["why is x one?", "", "and what is y?"]


def test_the_users_own_shell_commands_are_told_apart(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("<bash-input>ls</bash-input>")
    told.user("<bash-stdout>calc.py</bash-stdout><bash-stderr></bash-stderr>")
    told.user("what is in it?")
    told.answer("msg_1", text("A sum."))
    assert [m.about.origin for m in taken(workspace, projects, told)] == ["shell", "shell", "", ""]


def test_an_interrupt_marks_the_answer_and_ends_open_calls(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("run everything you have")
    told.answer("msg_1", use("toolu_1", "Bash", command="sleep 99"))
    told.user([text("[Request interrupted by user for tool use]")])
    told.user("run the tests only")
    told.answer("msg_2", text("Well."))
    messages = taken(workspace, projects, told)
    assert [m.role for m in messages] == ["user", "assistant", "tool", "user", "assistant"]
    assert [m.about.interrupted for m in messages] == [False, True, True, False, False]
    assert own_words(messages[3]) == "run the tests only"


def test_errors_of_the_service_are_no_answers(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("say something nice please")
    told.answer("msg_1", text("API Error: 529 overloaded"), isApiErrorMessage=True)
    told.answer("msg_2", text("You are kind."))
    messages = taken(workspace, projects, told)
    assert [m.about.origin for m in messages] == ["", "error", ""]
    assert [text_of(m) for m in messages] == ["say something nice please", "", "You are kind."]


def test_pictures_are_kept(projects: Path, workspace: Workspace) -> None:
    told = Told()
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    told.user([text("what is this?"), {"type": "image", "source": source}])
    told.answer("msg_1", use("toolu_1", "Read", file_path="a.png"))
    told.result("toolu_1", [{"type": "image", "source": source}])
    told.answer("msg_2", text("A dot."))
    first, _, output, shown, _ = taken(workspace, projects, told)
    for message, parts in ((first, 2), (shown, 1)):
        assert isinstance(message.content, list)
        assert len(message.content) == parts
        assert isinstance(message.content[-1], ImagePart)
        assert message.content[-1].image_url.url == "data:image/png;base64,aGk="
    assert output.content == ""


def test_blocks_of_unknown_shapes_cost_no_line(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("look it up please")
    told.answer("msg_1", use("toolu_1", "WebSearch", query="x"), {"type": "new_kind", "text": "?", "more": [1]})
    told.result("toolu_1", [{"type": "search_result", "source": "https://a", "title": 3}, text("Found.")], noted=[1])
    told.answer("msg_2", text("There."))
    assert [text_of(m) for m in taken(workspace, projects, told)] == ["look it up please", "", "Found.", "There."]


def test_a_subagent_is_a_session_of_its_own_that_its_call_names(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("have somebody look at the tests")
    told.answer("msg_1", use("toolu_1", "Agent", description="Look", prompt="list the files"))
    told.result("toolu_1", "launched", noted={"agentId": "a37a243", "isAsync": True})
    told.answer("msg_2", use("toolu_2", "Agent", description="Look again", prompt="list them again"))
    told.result("toolu_2", "Two files.")
    told.answer("msg_3", text("Done."))
    for agent, call in (("a37a243", "toolu_1"), ("af864b5", "toolu_2")):
        child = Told(agent=agent)
        child.user("list the files")
        child.answer(f"msg_{agent}", text("Two files."))
        path = child.write(projects)
        meta = {"agentType": "general-purpose", "description": "Look", "toolUseId": call}
        path.with_name(f"{path.stem}.meta.json").write_text(json.dumps(meta))
    messages = taken(workspace, projects, told)
    assert [m.about.child for m in messages if m.role == "tool"] == ["agent-a37a243", "agent-af864b5"]
    row = read.session(workspace, "agent-a37a243")
    assert (row.parent, row.title, row.agent, row.messages) == (SESSION, "Look", "general-purpose", 2)
    assert [child.native_id for child in read.children(workspace, read.session(workspace, SESSION))] == [
        *("agent-a37a243", "agent-af864b5")
    ]


def test_a_subagent_is_read_again_when_more_is_known_of_it(projects: Path, workspace: Workspace) -> None:
    child = Told(agent="a37a243")
    child.user("list the files")
    child.answer("msg_1", text("Two files."))
    path = child.write(projects)
    assert take(workspace, projects).new == 1
    path.with_name(f"{path.stem}.meta.json").write_text('{"agentType": "explorer"}')
    assert take(workspace, projects).changed == 1
    assert read.session(workspace, "agent-a37a243").agent == "explorer"


def test_sidechains_inside_the_file_are_sessions_too(projects: Path, workspace: Workspace) -> None:
    told = Told()
    told.user("have somebody look at the tests")
    told.answer("msg_1", use("toolu_1", "Task", description="Look", prompt="list the files"))
    main = told.last
    root = told.user("list the files", isSidechain=True, after=None)
    told.answer("msg_2", text("Two files."), isSidechain=True)
    told.result("toolu_1", "Two files.", after=main)
    told.answer("msg_3", text("There are two."))
    messages = taken(workspace, projects, told)
    assert [text_of(m) for m in messages] == ["have somebody look at the tests", "", "Two files.", "There are two."]
    assert messages[2].about.child == root
    assert [text_of(m) for m in conversation(workspace, root)] == ["list the files", "Two files."]
    assert read.session(workspace, root).parent == SESSION
    assert take(workspace, projects).messages == 0


def test_an_older_subagents_file_lies_beside_its_session(projects: Path, workspace: Workspace) -> None:
    child = Told(agent="1a2b3c4d")
    child.user("list the files")
    child.answer("msg_1", text("Two files."))
    path = child.write(projects)
    path.rename(projects / "-home-dev-calc" / path.name)
    fixed_a_bug().write(projects)
    assert take(workspace, projects).new == 2
    assert read.session(workspace, "agent-1a2b3c4d").parent == SESSION


def test_a_second_ingest_opens_no_file_and_a_longer_file_is_read_again(
    projects: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = fixed_a_bug()
    path = told.write(projects)
    other = fixed_a_bug("6b2d6c1e-0f4a-4e55-9a3b-7d1f0c9e2a44").write(projects)
    first = take(workspace, projects)
    assert (first.new, first.messages) == (2, 18)
    before = other.stat()
    other.write_bytes(b"\x00" * before.st_size)  # the same from outside
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    report = take(workspace, projects)
    assert (report.new, report.changed, report.unchanged, report.quarantined) == (0, 0, 2, [])
    told.user("thank you very much indeed")
    told.answer("msg_9", text("Welcome."))
    told.write(projects)
    report = take(workspace, path)
    assert (report.changed, report.unchanged, report.messages) == (1, 0, 11)


def test_damaged_lines_are_named_and_the_rest_is_read(projects: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.lines.insert(1, "\x00\x01 not json")
    told.lines.insert(4, "[1, 2]")
    told.lines.insert(6, json.dumps({"type": "user", "uuid": 7}))
    path = told.write(projects)
    with path.open("ab") as file:
        file.write(b'\xff\xfe\n{"type":"user","uuid":"half')
    report = take(workspace, projects)
    assert [row.native_id for row in report.quarantined] == ["line 2", "line 5", "line 7", "line 19", "line 20"]
    assert {row.session for row in report.quarantined} == {SESSION}
    assert len(conversation(workspace)) == 9


def test_a_lost_call_leaves_no_output_without_one(projects: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.lines[5] = told.lines[5][:-9]  # the call of the first answer
    told.write(projects)
    report = take(workspace, projects)
    assert [row.reason for row in report.quarantined][-1] == "1 outputs whose calls are not in the file"
    called = [call.id for m in conversation(workspace) for call in m.tool_calls]
    assert [m.tool_call_id for m in conversation(workspace) if m.role == "tool"] == called


def test_files_that_hold_no_session_stop_nothing(projects: Path, workspace: Workspace) -> None:
    fixed_a_bug().write(projects)
    folder = projects / "-home-dev-calc"
    (folder / "0b2d6c1e-0f4a-4e55-9a3b-7d1f0c9e2a44.jsonl").touch()
    (folder / "1b2d6c1e-0f4a-4e55-9a3b-7d1f0c9e2a44.jsonl").write_bytes(os.urandom(50_000))
    only_aside = Told("2b2d6c1e-0f4a-4e55-9a3b-7d1f0c9e2a44")
    only_aside.aside(type="summary", summary="Nothing said", leafUuid="x")
    only_aside.write(projects)
    report = take(workspace, projects)
    assert report.new == 1
    (rubbish,) = report.quarantined
    assert "/1b2d6c1e" in rubbish.where
    assert "no line of it can be understood" in rubbish.reason


@pytest.mark.parametrize("place", ["-home-dev-aaa", "-home-dev-zzz"])
def test_of_two_copies_of_a_session_the_one_written_last_is_read(
    place: str, projects: Path, workspace: Workspace
) -> None:
    told = Told()
    told.user("Does it add?")
    told.answer("msg_1", text("Yes."))
    old = told.write(projects).rename(projects / "old.jsonl")
    told.user("And subtract?")
    told.answer("msg_2", text("No."))
    new = told.write(projects)
    copy = projects / place / new.name
    copy.parent.mkdir()
    old.rename(copy)
    os.utime(copy, ns=(0, new.stat().st_mtime_ns - 10**9))
    report = take(workspace, projects)
    assert report.sessions == 1
    assert len(conversation(workspace)) == 4


def test_titles_given_by_a_person_come_first(projects: Path, workspace: Workspace) -> None:
    told = fixed_a_bug()
    told.aside(type="summary", summary="Of another session", leafUuid="not-here")
    taken(workspace, projects, told)
    assert read.session(workspace, SESSION).title == "fix add in calc.py"
    told.aside(type="summary", summary="Sign of add", leafUuid=told.last)
    taken(workspace, projects, told)
    assert read.session(workspace, SESSION).title == "Sign of add"
    told.aside(type="custom-title", customTitle="My bug")
    taken(workspace, projects, told)
    assert read.session(workspace, SESSION).title == "My bug"


def test_histories_are_found_where_claude_code_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, projects: Path
) -> None:
    with pytest.raises(SourceError, match="no sessions on this machine"):
        ClaudeCode({}).stores(())
    path = fixed_a_bug().write(projects)
    assert [store.where for store in ClaudeCode({"CLAUDE_CONFIG_DIR": str(tmp_path)}).stores(())] == [str(projects)]
    for place in (tmp_path, projects, path.parent, path):
        assert len(ClaudeCode({}).stores([place])) == 1


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b'{"a": 1}\n', b"hello\n"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.jsonl").write_bytes(content)
    with pytest.raises(SourceError, match="no session file"):
        ClaudeCode({}).stores([tmp_path / "other.jsonl"])
    with pytest.raises(SourceError, match="no Claude Code sessions"):
        ClaudeCode({}).stores([tmp_path])
    with pytest.raises(SourceError, match="no such file"):
        ClaudeCode({}).stores([tmp_path / "gone"])
