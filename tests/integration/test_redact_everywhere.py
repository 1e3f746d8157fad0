"""One secret of every rule in one conversation: none of them comes out anywhere again."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from lora_tui.cli.main import run
from lora_tui.curation import examples, labels, reading
from lora_tui.curation.redact_rules import table
from lora_tui.dataset import versions
from lora_tui.sources.model import FileData, FilePart, Message, TextPart
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data
from secret_values import filled
from stories import calls, says, store_session, user

PERSONAL = ("a.person@company.net", "/home/marie", "81.2.69.142", "2a00:1450:4001:81b::200e")


def plants() -> dict[str, tuple[str, str]]:
    """Rule -> (a text with its secret, the secret), for the rules that do not keep an example out."""
    made = {}
    for rule in table().rule:
        if rule.kind == "secret" and rule.action != "block":
            text, values = filled(rule.yes[0], "everywhere")
            made[rule.id] = (text, max(values, key=len))
    return made


PLANTS = plants()
TEXT = (
    "\n\n".join(text for text, _ in PLANTS.values())
    + f"\n\nmail {PERSONAL[0]}, {PERSONAL[1]}/x, {PERSONAL[2]}, {PERSONAL[3]}"
)
KEY, [KEY_BODY, *_] = filled("-----BEGIN EC {-}PRIVATE KEY-----\n{B64}\n{B64}\n-----END EC {-}PRIVATE KEY-----")


def forbidden() -> list[str]:
    return [*(secret for _, secret in PLANTS.values()), *PERSONAL, KEY_BODY]


def left_in(text: str) -> list[str]:
    """What of the planted values can still be read in a text, also escaped as JSON."""
    return [value for value in forbidden() if value in text or json.dumps(value)[1:-1] in text]


def left_in_files(folder: Path) -> dict[str, list[str]]:
    """The same for every file below a folder; every export is tested by pointing this at what it wrote."""
    found = {path.name: left_in(path.read_text(errors="replace")) for path in folder.rglob("*") if path.is_file()}
    return {name: left for name, left in found.items() if left}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with the secrets in every place of a conversation, everything accepted."""
    workspace = Workspace(tmp_path_factory.mktemp("planted"))
    workspace.ensure()
    attached = "data:text/plain;base64," + base64.b64encode(TEXT.encode()).decode()
    request = [TextPart(f"Please look into it\n{TEXT}"), FilePart(FileData(filename="a.env", file_data=attached))]
    arguments = {"command": f"echo '{TEXT}'", "env": {"note": TEXT}}
    title = " ".join(text for text, _ in PLANTS.values() if "\n" not in text) + f" by {PERSONAL[0]}"
    for number in range(3):
        conversation = [
            Message(role="user", content=[*request, TextPart(f"case {number}")]),
            *calls("bash", arguments, TEXT, call_id=f"call_{number}"),
            *calls("read", {"filePath": "a.json"}, json.dumps({"content": TEXT}), call_id=f"read_{number}"),
            *calls(
                "edit",
                {"filePath": f"{PERSONAL[1]}/src/m{number}.py", "oldString": "a = 1", "newString": f"a = 2\n# {TEXT}"},
                "ok",
                call_id=f"edit_{number}",
            ),
            Message(role="assistant", content=f"Done.\n{TEXT}", reasoning_content=f"I saw\n{TEXT}"),
            user(f"No, this is still wrong: {title}"),
            says("Then I was wrong."),
        ]
        store_session(workspace, f"ses_{number}", conversation, title=title)
    store_session(workspace, "ses_key", [user("show me the key please"), says(f"It is\n{KEY}")], title=KEY)
    examples.refresh(workspace)
    found = list(examples.ids(workspace))
    labels.decide(workspace, found, "accept", author="ada", reason="fine")
    return workspace


def shown(capfd: pytest.CaptureFixture[str], workspace: Workspace, *arguments: str) -> str:
    capfd.readouterr()
    code = run(["--workspace", str(workspace.root), *arguments])
    out, err = capfd.readouterr()
    assert code == 0, err
    assert out
    return out + err


def test_every_rule_applied(planted: Workspace) -> None:
    found = reading.example(planted, examples.ids(planted)[-1]).findings
    missing = {rule for rule in PLANTS if rule not in found}
    assert missing <= {"kubernetes_secret_above", "private_key_tail"}, missing


@pytest.mark.parametrize("form", [{}, {"shape": "plain"}, {"context": 100_000, "reasoning": True, "cap": 0}], ids=str)
def test_no_dataset_file_holds_one(planted: Workspace, form: dict[str, object]) -> None:
    built = versions.build(planted, "all", Data(**form))  # type: ignore[arg-type]
    assert sum(built.manifest.rows.values()) > 0
    assert left_in_files(built.folder) == {}


def test_no_command_prints_one(planted: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    one = str(examples.ids(planted)[-1])
    for command in (
        ["examples", "list"],
        ["examples", "show", one],
        ["sessions", "list"],
        ["sessions", "show", "ses_0"],
        ["sessions", "show", "ses_key"],
    ):
        assert left_in(shown(capfd, planted, *command)) == [], command
        assert left_in(shown(capfd, planted, *command, "--json")) == [], command


@pytest.mark.parametrize("command", [["examples", "export"], ["label", "export"]], ids=" ".join)
def test_no_exported_file_holds_one(
    planted: Workspace, capfd: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]
) -> None:
    shown(capfd, planted, *command, str(tmp_path / "out.jsonl"))
    assert (tmp_path / "out.jsonl").stat().st_size > 0
    assert left_in_files(tmp_path) == {}


def test_the_search_finds_none_and_its_index_holds_none(planted: Workspace) -> None:
    pieces = {max(re.findall("[A-Za-z0-9]+", secret), key=len) for _, secret in PLANTS.values()}
    long = [piece for piece in pieces if len(piece) > 7]
    assert len(long) > 100
    assert not [piece for piece in long if len(examples.ids(planted, examples.Filter(text=piece)))]
    connection = planted.connection()
    connection.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, example_text, row)")
    indexed = {term for (term,) in connection.execute("SELECT term FROM temp.words")}
    assert indexed
    assert not [piece for piece in long if piece.lower() in indexed]


def test_what_lists_keep_of_an_example_holds_none(planted: Workspace) -> None:
    kept = planted.connection().execute("SELECT request, verdict, signals, note, findings FROM example").fetchall()
    assert left_in(str(kept)) == []


def test_an_example_with_a_private_key_is_dropped_for_that_reason(planted: Workspace) -> None:
    assert examples.counts(planted).dropped.get("private key") == 1


def test_what_the_source_wrote_stays_as_it_was(planted: Workspace) -> None:
    bodies = planted.connection().execute("SELECT CAST(group_concat(CAST(body AS TEXT), '') AS TEXT) FROM message")
    assert PLANTS["github_pat"][1] in str(bodies.fetchone()[0])
