"""Taking Aider's chats in: who wrote which line, and what became of an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from aider_files import EDIT, asked, chat, done, noted, said
from lora_tui.sources import read
from lora_tui.sources.aider import places
from lora_tui.sources.aider.source import Aider
from lora_tui.sources.ingest import IngestReport, ingest
from lora_tui.sources.model import Message, own_words
from lora_tui.workspace.errors import SourceError
from lora_tui.workspace.layout import Workspace

NAME = ".aider.chat.history.md"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "greet"
    folder.mkdir()
    return folder


def take(workspace: Workspace, repository: Path) -> IngestReport:
    return ingest(workspace, "aider", [repository])


def taken(workspace: Workspace, repository: Path, *parts: str) -> list[Message]:
    (repository / NAME).write_text(chat(*parts))
    report = take(workspace, repository)
    assert (report.sessions, report.quarantined) == (1, [])
    return list(read.messages(workspace, read.sessions(workspace)[0].id))


def test_a_chat_comes_out_as_it_was_had(repository: Path, workspace: Workspace) -> None:
    request, answer = taken(workspace, repository, asked("Change the greeting"), said(EDIT), done())
    row = read.sessions(workspace)[0]
    assert (row.title, row.directory, row.model) == ("Change the greeting", str(repository), "openai/coder")
    assert row.version == "0.86.2"
    assert (request.role, request.content) == ("user", "Change the greeting")
    assert (answer.role, answer.content) == ("assistant", EDIT)


def test_what_became_of_an_answer_is_known(repository: Path, workspace: Workspace) -> None:
    messages = taken(
        workspace,
        repository,
        *(asked("Change the greeting"), said(EDIT), done("hello.py", "f48cd5e")),
        *(asked("And the farewell"), said("Gone."), noted("Tokens: 1k sent, 2 received.")),
        *(noted("The LLM did not conform to the edit format."), asked("Why did you do it so?"), said("Well")),
        noted("^C KeyboardInterrupt"),
    )
    abouts = [m.about for m in messages if m.role == "assistant"]
    assert [(a.diffs, a.commit) for a in abouts] == [(("hello.py",), "f48cd5e"), ((), ""), ((), "")]
    assert [a.error for a in abouts] == ["", "edit not applied", ""]
    assert [a.interrupted for a in abouts] == [False, False, True]


def test_an_undone_commit_marks_its_request_and_answer(repository: Path, workspace: Workspace) -> None:
    messages = taken(
        workspace,
        repository,
        *(asked("Change the greeting"), said(EDIT), done(commit="f48cd5e")),
        *(asked("/undo"), noted("Removed: f48cd5e feat: greet"), asked("Leave it as it is"), said("Fine.")),
    )
    assert [m.about.reverted for m in messages] == [True, True, False, False, False]


def test_commands_to_aider_are_no_requests(repository: Path, workspace: Workspace) -> None:
    messages = taken(
        workspace,
        repository,
        *(asked("/add hello.py"), noted("Added hello.py to the chat"), asked("!ls"), asked("/ask why is it so?")),
        said("Because."),
    )
    assert [m.about.origin for m in messages] == ["shell", "shell", "", ""]
    assert [own_words(m) for m in messages[:3]] == ["", "", "/ask why is it so?"]
    assert read.sessions(workspace)[0].title == "/ask why is it so?"


def test_several_lines_of_a_request_are_one(repository: Path, workspace: Workspace) -> None:
    request, _ = taken(workspace, repository, asked("Change this:\n\n- one\n  - two"), said("Done."))
    assert request.content == "Change this:\n\n- one\n  - two"


@pytest.mark.parametrize(
    "answer",
    [
        "As the text says:\n\n> quoted words\n\nso be it.",
        "```markdown\n> Note  \n#### Heading  \n\n# aider chat started at noon\n```\nThere.",
        "README.md\n<<<<<<< SEARCH\n> old  \n=======\n#### new  \n>>>>>>> REPLACE\n\nThat is all.",
        "#### A heading\n\nand words.",
        "The file begins with\n# aider chat started at 2026-11-20 12:14:12\nand goes on.",
    ],
)
def test_an_answer_may_look_like_aiders_own_lines(repository: Path, workspace: Workspace, answer: str) -> None:
    messages = taken(workspace, repository, asked("Write some markdown"), said(answer), done())
    assert [m.content for m in messages] == ["Write some markdown", answer]
    assert messages[1].about.commit == "f48cd5e"


def test_an_answer_that_broke_off_in_a_code_block_does_not_swallow_the_rest(
    repository: Path, workspace: Workspace
) -> None:
    messages = taken(
        workspace,
        repository,
        *(asked("Write it down"), said("```python\nprint("), noted("Tokens: 1k sent, 2 received.")),
        *(asked("Try once more please"), said("Done.")),
    )
    assert [m.content for m in messages][2:] == ["Try once more please", "Done."]


def test_longer_notes_are_not_the_models_words(repository: Path, workspace: Workspace) -> None:
    messages = taken(
        workspace,
        repository,
        *(asked("Write it down"), "> litellm.BadRequestError: no\n\nsecond line\nthird line  \n"),
        *(asked("Try once more please"), said("Done.")),
    )
    assert [m.content for m in messages] == ["Write it down", "Try once more please", "Done."]


def test_what_aider_sent_back_itself_stands_between_two_answers(repository: Path, workspace: Workspace) -> None:
    messages = taken(
        workspace,
        repository,
        *(asked("Change the greeting"), said(EDIT), done(), noted("E999 SyntaxError", "Fix lint errors? y")),
        said("Fixed the error."),
    )
    assert [m.role for m in messages] == ["user", "assistant", "user", "assistant"]
    assert own_words(messages[2]) == ""
    assert "E999" in str(messages[2].content)


def test_thinking_is_reasoning(repository: Path, workspace: Workspace) -> None:
    thought = "--------------\n► **THINKING**\n\nLook first.\n\n------------\n► **ANSWER**\n\nDone."
    answer = taken(workspace, repository, asked("Change the greeting"), said(thought))[1]
    assert (answer.reasoning_content, answer.content) == ("Look first.", "Done.")


def test_every_chat_is_a_session_and_only_what_is_new_is_read(repository: Path, workspace: Workspace) -> None:
    path = repository / NAME
    first = chat(asked("Change the greeting"), said(EDIT), done())
    path.write_text(first + chat(started="2026-11-21 09:00:00"))
    assert take(workspace, repository).new == 1  # in the second nobody asked anything yet
    path.write_text(first + chat(asked("And the farewell"), said("Done."), started="2026-11-21 09:00:00"))
    report = take(workspace, repository)
    assert (report.new, report.unchanged, report.messages) == (1, 1, 2)
    with path.open("a") as file:
        file.write(asked("Thank you very much indeed") + said("Welcome."))
    report = take(workspace, repository)
    assert (report.new, report.changed, report.unchanged, report.messages) == (0, 1, 1, 4)


def test_a_repository_that_moved_is_not_read_twice(repository: Path, tmp_path: Path, workspace: Workspace) -> None:
    taken(workspace, repository, asked("Change the greeting"), said(EDIT), done())
    (tmp_path / "elsewhere").mkdir()
    repository.rename(tmp_path / "elsewhere" / "greet")
    assert take(workspace, tmp_path / "elsewhere").unchanged == 1


def test_damaged_text_is_read_and_named(repository: Path, workspace: Workspace) -> None:
    text = chat(asked("Change the greeting"), said("caf\xe9"), done()).encode("latin-1")
    (repository / NAME).write_bytes(b"\x00\x01\xff rubbish\n" + text + b"\n#### half")
    report = take(workspace, repository)
    assert (report.new, [row.reason for row in report.quarantined]) == (1, ["bytes that are not UTF-8"])


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 5_000, b"no chat at all\n"])
def test_a_history_without_chats_is_empty(repository: Path, workspace: Workspace, content: bytes) -> None:
    (repository / NAME).write_bytes(content)
    assert take(workspace, repository).sessions == 0


def test_histories_are_looked_for_below_home(
    tmp_path: Path, repository: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(repository)
    with pytest.raises(SourceError, match="no history"):
        Aider().stores(())
    here = ("a", "src/b/c/d")
    for place in (*here, "src/b/c/d/e", ".hidden/x", "app/node_modules/x"):
        (home / place).mkdir(parents=True)
        (home / place / NAME).touch()
    assert {store.where for store in Aider().stores(())} == {str(home / place / NAME) for place in here}
    (repository / NAME).touch()
    (repository / "deep").mkdir()
    monkeypatch.chdir(repository / "deep")
    assert str(repository / NAME) in {store.where for store in Aider().stores(())}


def test_a_search_that_takes_too_long_is_said(
    repository: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / NAME).write_text(chat(asked("Change the greeting"), said(EDIT), done()))
    monkeypatch.chdir(repository)
    monkeypatch.setattr(places, "SECONDS", -1.0)
    report = ingest(workspace, "aider")
    assert (report.new, [failure.where for failure in report.failures]) == (1, [str(Path.home())])


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# A project\n")
    with pytest.raises(SourceError, match="no history of Aider"):
        Aider().stores([tmp_path / "README.md"])
    with pytest.raises(SourceError, match="no history of Aider in this folder"):
        Aider().stores([tmp_path])
    (tmp_path / "history.md").write_text(chat(asked("Change the greeting")))
    assert len(Aider().stores([tmp_path / "history.md"])) == 1
