"""What a plain row needs of a session's earlier requests: what was done to the files it edits, and nothing else."""

from __future__ import annotations

import json

from lora_tui.curation.context import context
from lora_tui.curation.refresh import refresh
from lora_tui.dataset.earlier import about_the_same_files
from lora_tui.sources.model import Message, TextPart
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user

EARLIER = [
    user("Look"),
    *calls("read", {"filePath": "/src/app/calc.py"}, "1: x", call_id="r1"),
    *calls("Read", {"file_path": "/src/app/other.py"}, "1\ty", call_id="r2"),
    *calls("bash", {"command": "cat src\\calc.py"}, "x", call_id="c"),
    Message(role="user", content=[TextPart('Called the Read tool with the following input: {"filePath":"calc.py"}')]),
    says("calc.py\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE"),
    says("Done."),
]


def ids(messages: list[Message]) -> list[str]:
    return [call.id for message in messages for call in message.tool_calls]


def test_of_the_earlier_requests_those_messages_stay_that_name_an_edited_file() -> None:
    own = [user("Fix"), *calls("edit", {"filePath": "calc.py", "oldString": "a", "newString": "b"}, "ok", call_id="e")]
    kept = about_the_same_files(EARLIER, own)
    assert ids(kept) == ["r1", "c"]
    assert [message.tool_call_id for message in kept if message.role == "tool"] == ["r1", "c"]
    assert len(kept) == 6  # the two reads with their outputs, the attachment, the blocks in an answer
    aider = [user("Fix"), says("other.py\n<<<<<<< SEARCH\ny\n=======\nz\n>>>>>>> REPLACE")]
    assert ids(about_the_same_files(EARLIER, aider)) == ["r2"]


def test_all_stay_where_nothing_is_edited_or_a_name_cannot_be_looked_for() -> None:
    assert about_the_same_files(EARLIER, [user("Why?"), says("So.")]) == EARLIER
    for path in ("<PII:email:1>.py", "größe.py", ""):
        own = calls("write", {"filePath": path, "content": "x"}, "ok")
        assert about_the_same_files(EARLIER, own) == EARLIER


def test_earlier_requests_are_read_once_however_many_there_are(workspace: Workspace) -> None:
    story = [one for turn in range(40) for one in (user(f"Please change number {turn} of them"), says(f"Done {turn}."))]
    store_session(workspace, "ses_1", story)
    refresh(workspace)
    read: list[str] = []
    workspace.connection().set_trace_callback(read.append)
    (last,) = workspace.connection().execute("SELECT max(id) FROM example").fetchone()
    assert len(context(workspace, last, 100_000)) == 78
    workspace.connection().set_trace_callback(None)
    bounds = [
        json.loads(f"[{text.split('seq >= ')[1].replace(' AND seq <=', ',').split(' ORDER')[0]}]")
        for text in read
        if "FROM message" in text
    ]
    assert sum(end - begin + 1 for begin, end in bounds) == 78
