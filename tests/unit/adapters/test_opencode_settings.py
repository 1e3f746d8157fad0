"""`opencode apply` changes what its diff says, and `revert` brings the same bytes back."""

from __future__ import annotations

import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import killed
from lora_tui.adapters.wiring import places
from lora_tui.adapters.wiring.apply import apply, revert, way_back
from lora_tui.adapters.wiring.jsonc import parse
from lora_tui.adapters.wiring.plan import make
from lora_tui.adapters.wiring.record import newest, records
from lora_tui.adapters.wiring.wanted import Agent, Model, Wanted
from lora_tui.cli.main import run
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from opencode_settings import COMMENTED, FILES, add_specialist

URL = "http://127.0.0.1:9000/v1"
WANTED = Wanted(
    provider="lora",
    title="lora-tui",
    url=URL,
    models=(Model("auto", "Auto", 16_384, 4_096), Model("build-rust", "Rust", 16_384, 4_096)),
    agents=(Agent("build-rust", "Rust: a specialist", "lora/build-rust", "You write Rust."),),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """opencode's global folder; the working directory is a repository without settings."""
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("PATH", os.defpath)  # without an opencode of one's own
    found = places.global_folder()
    found.mkdir(parents=True)
    return found


@pytest.fixture
def specialists(workspace: Workspace, tmp_path: Path) -> None:
    for name, profile in (("build-rust", "build-rust"), ("build-ts", "build-ts")):
        add_specialist(workspace, name, profile, tmp_path / "Base-1B")


def lora_tui(workspace: Workspace, capsys: pytest.CaptureFixture[str], *arguments: str, fails: int = 0) -> Any:
    """What the command says under --json; of one that fails its error."""
    capsys.readouterr()
    code = run(["--workspace", str(workspace.root), "opencode", *arguments, "--json"])
    said = capsys.readouterr()
    assert code == fails, said.err
    return said.err if fails else json.loads(said.out)


def everything(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Every file and folder with its mode and bytes."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def plain(path: Path) -> Any:
    root = parse(path.read_bytes().decode("utf-8-sig"))
    assert root is not None
    return root.plain


def patched(difference: str, tmp_path: Path, before: dict[str, Path]) -> None:
    """`patch` takes the difference, in copies of the files."""
    assert before
    for number, (name, copy) in enumerate(before.items()):
        parts = ["--- " + part for part in difference.split("--- ")[1:]]
        part = next(one for one in parts if name in one)
        (tmp_path / f"{number}.diff").write_bytes(part.encode())
        subprocess.run(["patch", "--binary", "-s", str(copy), str(tmp_path / f"{number}.diff")], check=True)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("how", ["a file", "read-only", "a link"])
@pytest.mark.usefixtures("specialists")
def test_settings_change_as_the_diff_said_and_come_back_to_the_same_bytes(
    kind: str, how: str, workspace: Workspace, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "opencode.json"
    file.write_bytes(FILES[kind])
    if how == "read-only":
        file.chmod(0o444)
    if how == "a link":
        elsewhere = tmp_path / "dotfiles" / "opencode settings.json"
        elsewhere.parent.mkdir()
        shutil.move(file, elsewhere)
        file.symlink_to(elsewhere)
    before = everything(tmp_path) | everything(folder)
    copy = tmp_path / "copy"
    shutil.copyfile(file, copy)
    shown = lora_tui(workspace, capsys, "diff", "--url", URL)
    assert everything(folder) == {key: value for key, value in before.items() if key in everything(folder)}
    done = lora_tui(workspace, capsys, "apply", "--url", URL)
    assert done["diff"] == shown["diff"]
    patched(shown["diff"], tmp_path, {str(file.resolve()): copy})
    assert copy.read_bytes() == file.read_bytes()
    assert file.is_symlink() == (how == "a link")
    assert stat.S_IMODE(file.stat().st_mode) == (0o444 if how == "read-only" else 0o644)
    settings = plain(file)
    native = kind == "shape of 2"
    provider = settings["providers" if native else "provider"]["lora"]
    assert provider["settings" if native else "options"] == {"baseURL": URL}
    assert list(provider["models"]) == ["auto", "Base-1B", "build-rust", "build-ts"]
    assert provider["models"]["build-rust"]["limit"] == {"context": 16_384, "output": 4_096}
    assert settings["$schema"] == "https://opencode.ai/config.json"
    if "enabled_providers" in settings:
        assert settings["enabled_providers"] == ["anthropic", "lora"]
    head, agent = (folder / "agent" / "build-rust.md").read_text().split("\n\n")
    assert (
        head == '---\ndescription: "Rust specialist (LoRA adapter build-rust)"\nmode: all\nmodel: lora/build-rust\n---'
    )
    assert agent.startswith("You are a coding agent and a specialist for rust.")
    text = file.read_bytes().decode()
    rest = iter(text)
    assert all(character in rest for character in FILES[kind].decode())  # nothing that was there is missing
    assert text.count("\n") - text.count("\r\n") in (0, text.count("\n"))
    copy.unlink()
    for left in tmp_path.glob("*.diff"):
        left.unlink()
    lora_tui(workspace, capsys, "revert")
    after = everything(tmp_path) | everything(folder)
    assert {key: value for key, value in after.items() if not key.startswith("workspace")} == {
        key: value for key, value in before.items() if not key.startswith("workspace")
    }
    assert not list((workspace.root / "opencode").glob("0*"))  # the copies are gone too


@pytest.mark.usefixtures("specialists")
def test_without_settings_a_file_is_made_and_removed_again(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.rmdir()
    home = folder.parent
    before = everything(home) if home.exists() else {}
    done = lora_tui(workspace, capsys, "apply", "--url", URL, "--adapter", "build-rust")
    assert [one["change"] for one in done["files"]] == ["created", "created"]
    assert done["diff"].startswith("--- /dev/null\n")
    assert plain(folder / "opencode.jsonc")["provider"]["lora"]["models"].keys() == {"auto", "Base-1B", "build-rust"}
    assert lora_tui(workspace, capsys, "list")[0]["adapters"] == ["build-rust"]
    lora_tui(workspace, capsys, "revert")
    assert (everything(home) if home.exists() else {}) == before
    assert "nothing of lora-tui" in lora_tui(workspace, capsys, "revert", fails=2)


@pytest.mark.usefixtures("specialists")
def test_applying_again_changes_what_is_new_and_the_way_back_is_the_same(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "opencode.json").write_text(COMMENTED)
    before = everything(folder)
    lora_tui(workspace, capsys, "apply", "--url", URL)
    done = lora_tui(workspace, capsys, "apply", "--url", URL)
    assert not done["applied"]
    assert not done["diff"]
    lora_tui(workspace, capsys, "apply", "--url", "https://gpu.example:8000", "--profile", "build-ts", "--no-auto")
    provider = plain(folder / "opencode.json")["provider"]["lora"]
    assert provider["options"]["baseURL"] == "https://gpu.example:8000/v1"
    assert list(provider["models"]) == ["Base-1B", "build-ts"]
    assert [path.name for path in (folder / "agent").iterdir()] == ["build-ts.md"]
    assert len(records(workspace)) == 1
    lora_tui(workspace, capsys, "revert")
    assert everything(folder) == before


@pytest.mark.usefixtures("specialists")
def test_an_agent_of_ones_own_keeps_its_prompt_and_gets_the_model(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agents = folder / "agents"
    agents.mkdir()
    own = "---\ndescription: mine\r\nmodel: anthropic/claude  # for now\nmode: primary\n---\nYou write Rust, my way.\n"
    (agents / "build-rust.md").write_bytes(own.encode())
    (agents / "build-ts.md").write_text("Just a prompt.\n")
    before = everything(folder)
    lora_tui(workspace, capsys, "apply", "--url", URL)
    written = (agents / "build-rust.md").read_bytes().decode()
    assert written == own.replace("anthropic/claude ", "lora/build-rust ")
    assert (agents / "build-ts.md").read_text() == "---\nmodel: lora/build-ts\n---\nJust a prompt.\n"
    (agents / "build-rust.md").write_bytes(written.replace("my way", "quickly").encode())
    done = lora_tui(workspace, capsys, "revert")
    assert "changed by hand" in done["reverted"][0]["notes"][0]
    assert (agents / "build-rust.md").read_bytes().decode() == own.replace("my way", "quickly")
    (agents / "build-rust.md").write_bytes(own.encode())
    assert everything(folder) == before


@pytest.mark.usefixtures("specialists")
def test_what_a_person_added_since_stays_and_what_they_changed_of_ours_is_not_overwritten(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "opencode.json"
    file.write_text(COMMENTED)
    lora_tui(workspace, capsys, "apply", "--url", URL)
    applied = file.read_text()
    file.write_text(applied.replace('"mcp": {},', '"mcp": {},\n  "theme": "mine", // new'))
    lora_tui(workspace, capsys, "revert")
    assert file.read_text() == COMMENTED.replace('"mcp": {},', '"mcp": {},\n  "theme": "mine", // new')

    file.write_text(COMMENTED)
    lora_tui(workspace, capsys, "apply", "--url", URL)
    mine = file.read_text().replace(URL, "http://127.0.0.1:1/v1")
    file.write_text(mine)
    for command in ("revert", "apply"):
        said = lora_tui(workspace, capsys, command, *(["--url", URL] if command == "apply" else []), fails=2)
        assert "changed by hand since it was written: provider.lora.options.baseURL" in said
    assert file.read_text() == mine
    kept = lora_tui(workspace, capsys, "revert", "--force")["reverted"][0]["kept"]
    assert file.read_text() == COMMENTED
    assert [Path(path).read_text() for path in kept] == [mine]

    file.write_text(mine)
    lora_tui(workspace, capsys, "apply", "--url", "http://127.0.0.1:2/v1", "--replace")
    assert plain(file)["provider"]["lora"]["options"]["baseURL"] == "http://127.0.0.1:2/v1"
    lora_tui(workspace, capsys, "revert")
    assert file.read_text() == mine


@pytest.mark.usefixtures("specialists")
def test_a_provider_of_that_name_that_is_not_ours_is_left_alone(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "opencode.json"
    text = '{\n  "$schema": "x",\n  "provider": {"lora": {"npm": "mine", "models": {"m": {}}}}\n}\n'
    file.write_text(text)
    said = lora_tui(workspace, capsys, "apply", "--url", URL, fails=2)
    assert "a provider 'lora' already" in said
    assert "--provider NAME" in said
    assert file.read_text() == text
    lora_tui(workspace, capsys, "apply", "--url", URL, "--provider", "tuned")
    assert plain(file)["provider"].keys() == {"lora", "tuned"}
    assert "model: tuned/build-rust" in (folder / "agent" / "build-rust.md").read_text()
    lora_tui(workspace, capsys, "revert")
    lora_tui(workspace, capsys, "apply", "--url", URL, "--replace")
    assert plain(file)["provider"]["lora"]["npm"] == "@ai-sdk/openai-compatible"
    assert "m" not in plain(file)["provider"]["lora"]["models"]
    lora_tui(workspace, capsys, "revert")
    assert file.read_text() == text
    assert "in the other shape" in lora_tui(
        workspace, capsys, "diff", "--url", URL, "--replace", "--shape", "v2", fails=2
    )


@pytest.mark.usefixtures("specialists")
def test_of_several_files_the_one_that_wins_is_changed_and_the_others_are_named(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "opencode.json").write_text("{}")
    (folder / "opencode.jsonc").write_text("{}")
    project = Path.cwd()
    (project / "opencode.json").write_text('{"enabled_providers": ["openai"], "agent": {"build-ts": {"model": "o/x"}}}')
    done = lora_tui(workspace, capsys, "apply", "--url", URL)
    assert done["config"] == str(folder / "opencode.jsonc")
    assert (folder / "opencode.json").read_text() == "{}"
    [note] = [note for note in done["notes"] if str(project) in note]
    assert "wins over" in note
    assert "enables other providers only" in note
    assert "has an agent 'build-ts' too" in note
    (project / "sub").mkdir()
    os.chdir(project / "sub")
    done = lora_tui(workspace, capsys, "apply", "--url", URL, "--project")
    assert done["config"] == str(project / "opencode.json")
    assert (project / ".opencode" / "agent" / "build-rust.md").is_file()
    said = lora_tui(workspace, capsys, "revert", fails=2)
    assert "Several stand" in said
    lora_tui(workspace, capsys, "revert", "--project")
    assert not (project / ".opencode").exists()
    assert (folder / "agent").exists()
    lora_tui(workspace, capsys, "apply", "--url", URL, "--config", str(project / "other.json"))
    assert plain(project / "other.json")["agent"]["build-ts"]["model"] == "lora/build-ts"
    lora_tui(workspace, capsys, "revert", "--all")
    assert not (project / "other.json").exists()
    assert not (folder / "agent").exists()


@pytest.mark.usefixtures("specialists", "folder")
def test_settings_in_the_environment_are_named_where_they_win(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def notes(content: str) -> list[str]:
        monkeypatch.setenv("OPENCODE_CONFIG_CONTENT", content)
        found = lora_tui(workspace, capsys, "diff", "--url", URL)["notes"]
        return [note for note in found if note.startswith("$OPENCODE_CONFIG_CONTENT")]

    assert notes("") == []
    [note] = notes('{"provider": {"lora": {}}, "agent": {"build-rust": {}}, /**/ "enabled_providers": ["openai"]}')
    assert "wins over" in note
    assert "has a provider 'lora' too" in note
    assert "has an agent 'build-rust' too" in note
    assert "add 'lora' to its enabled_providers" in note
    assert "disables the provider 'lora'" in notes('{"disabled_providers": ["lora"]}')[1]
    [note] = notes("{oops")
    assert "cannot be read: not valid JSON" in note


@pytest.mark.usefixtures("specialists")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{\n  "a": 1,\n  "provider": {,}\n}', "not valid JSON: expected a string in double quotes"),
        (b"[]", "the settings are not an object"),
        (b'{"provider": 1}', "provider is not an object"),
        (b'{"a": "\xff"}', "not UTF-8 text: byte 7"),
    ],
)
def test_settings_that_cannot_be_read_are_named_and_not_touched(
    data: bytes, said: str, workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "opencode.json"
    file.write_bytes(data)
    words = lora_tui(workspace, capsys, "apply", "--url", URL, fails=2)
    assert said in words
    if b",}" in data:
        assert f"{file}, line 3, column 16" in words
    assert everything(folder) == {"opencode.json": (file.stat().st_mode, data)}


@pytest.mark.usefixtures("specialists")
def test_no_key_is_written_and_none_is_shown(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-of-the-server")
    file = folder / "opencode.json"
    file.write_text('{\n  "provider": {\n    "p": {"options": {"apiKey": "sk-in-the-file"}}\n  }\n}\n')
    done = lora_tui(workspace, capsys, "apply", "--url", URL, "--key-env", "MY_KEY")
    assert plain(file)["provider"]["lora"]["options"]["apiKey"] == "{env:MY_KEY}"
    assert "{env:MY_KEY}" in done["diff"]
    for client in ("opencode", "openai", "aider", "ollama", "together", "curl"):
        assert (
            run(["--workspace", str(workspace.root), "opencode", "print", "--for", client, "--key-env", "MY_KEY"]) == 0
        )
    said = capsys.readouterr()
    for text in (json.dumps(done), said.out, said.err, file.read_text()):
        assert "sk-of-the-server" not in text
    assert "sk-in-the-file" not in json.dumps(done)
    copies = [path for path in (workspace.root / "opencode").rglob("*") if path.is_file()]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in copies if path.name != ".lock")
    assert "password" in lora_tui(workspace, capsys, "apply", "--url", "http://me:secret@host/v1", fails=2)


@pytest.mark.usefixtures("specialists")
def test_settings_for_other_clients_are_text_to_copy(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    def printed(client: str) -> str:
        return str(lora_tui(workspace, capsys, "print", "--for", client, "--url", URL)["settings"])

    whole = json.loads(printed("opencode"))
    assert whole["agent"]["build-rust"]["model"] == "lora/build-rust"
    assert f"export OPENAI_BASE_URL={URL}" in printed("openai")
    sizes = json.loads(printed("aider").split(":\n", 1)[1])
    assert sizes["openai/build-rust"]["max_input_tokens"] == 16_384
    assert "OLLAMA_CONTEXT_LENGTH=16384" in printed("ollama")
    assert '"$TOGETHER_API_KEY"' in printed("together")
    assert json.loads(printed("curl").rpartition("-d '")[2].rstrip("'"))["model"] == "build-rust"
    assert "Known: opencode" in lora_tui(workspace, capsys, "print", "--for", "emacs", fails=2)


def test_killed_at_any_step_each_file_is_the_old_or_the_new_and_the_way_back_is_whole(
    tmp_path: Path, folder: Path
) -> None:
    root = tmp_path / "all"
    workspace = Workspace(root / "workspace")
    settings = root / "settings"
    settings.mkdir(parents=True)
    config = settings / "opencode.json"
    place = places.Place("here", config, settings / "agent", (config,))
    (settings / "opencode.json").write_text(COMMENTED)
    before = everything(settings)
    plan = make(workspace, place, WANTED)
    after = {change.touched.target: change.after for change in plan.changes}
    steps = []
    for step in killed.at_every_step(root, lambda: apply(workspace, plan, WANTED, ["build-rust"])):
        steps.append(step)
        assert (settings / "opencode.json").read_bytes() in (
            COMMENTED.encode(),
            after[str(settings / "opencode.json")],
        )
        stands = newest(workspace, "here")
        if stands is None:
            assert everything(settings) == before
            continue
        if len(steps) % 2:  # what was begun can be done again, and then taken back
            stands = apply(workspace, make(workspace, place, WANTED), WANTED, ["build-rust"])
            assert all(Path(path).read_bytes() == data for path, data in after.items())
            assert len(records(workspace)) == 1
        revert(workspace, stands, way_back(workspace, stands))
        assert everything(settings) == before
        assert not records(workspace)
    assert len(steps) > 15

    def back() -> None:
        stands = newest(workspace, "here")
        assert stands is not None
        revert(workspace, stands, way_back(workspace, stands))

    for _ in killed.at_every_step(root, back):
        if newest(workspace, "here") is not None:
            back()
        assert everything(settings) == before
    assert everything(settings) == before


def test_killed_while_one_change_takes_the_place_of_another_the_way_back_is_still_to_the_original(
    tmp_path: Path, folder: Path
) -> None:
    root = tmp_path / "all"
    workspace = Workspace(root / "workspace")
    settings = root / "settings"
    settings.mkdir(parents=True)
    config = settings / "opencode.json"
    config.write_text(COMMENTED)
    before = everything(settings)
    place = places.Place("here", config, settings / "agent", (config,))
    apply(workspace, make(workspace, place, WANTED), WANTED, ["build-rust"])
    other = msgspec.structs.replace(
        WANTED, url="https://gpu.example/v1", agents=(Agent("build-ts", "TypeScript", "lora/build-ts"),)
    )
    plan = make(workspace, place, other)
    for number, _ in enumerate(killed.at_every_step(root, lambda: apply(workspace, plan, other, ["build-ts"]))):
        if number % 2:
            apply(workspace, make(workspace, place, other), other, ["build-ts"])
            assert [path.name for path in (settings / "agent").iterdir()] == ["build-ts.md"]
        stands = newest(workspace, "here")
        assert stands is not None
        revert(workspace, stands, way_back(workspace, stands))
        assert everything(settings) == before
        assert not records(workspace)
    assert plain(config)["provider"]["lora"]["options"]["baseURL"] == other.url


@pytest.mark.usefixtures("specialists")
def test_a_server_may_call_a_specialist_otherwise_and_a_key_given_as_a_name_is_refused(
    workspace: Workspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--adapter", "build-rust", "--as", "build-rust=me/rust:7b", "--no-auto", "--no-base", "--url", URL]
    lora_tui(workspace, capsys, "apply", *named)
    models = plain(folder / "opencode.jsonc")["provider"]["lora"]["models"]
    assert {name: model["id"] for name, model in models.items()} == {"build-rust": "me/rust:7b"}
    assert "model: lora/build-rust" in (folder / "agent" / "build-rust.md").read_text()
    assert '"model": "me/rust:7b"' in lora_tui(workspace, capsys, "print", "--for", "curl", *named)["settings"]
    lora_tui(workspace, capsys, "apply", *named, "--shape", "v2")
    models = plain(folder / "opencode.jsonc")["providers"]["lora"]["models"]
    assert models["build-rust"]["modelID"] == "me/rust:7b"
    said = lora_tui(workspace, capsys, "diff", "--key-env", "sk-4711", fails=2)
    assert "--key-env takes the name of an environment variable" in said
    assert "4711" not in said
    for wrong in (["--as", "build-rust"], ["--as", "nobody=x"], ["--provider", "a/b"], ["--url", "localhost:80"]):
        lora_tui(workspace, capsys, "diff", *wrong, fails=2)


@pytest.mark.usefixtures("specialists")
@pytest.mark.parametrize("answer", ["n", "y"])
def test_on_a_terminal_the_difference_is_shown_and_one_is_asked(
    answer: str, workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    file = folder / "opencode.json"
    file.write_text(COMMENTED.replace("for now", "for now\x1b[31m"))
    copy = tmp_path / "copy"
    copy.write_text(COMMENTED)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), "opencode", "apply", "--url", URL]
    with subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True) as process:
        os.write(ours, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=60)
        os.close(theirs)
    said = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "Write this? [y/N]" in said
    assert "opencode is not installed here" in said
    assert "\x1b" not in out
    if answer == "n":
        assert process.returncode == 130
        assert file.read_text() == COMMENTED.replace("for now", "for now\x1b[31m")
        assert not (folder / "agent").exists()
        assert not records(workspace)
    else:
        assert process.returncode == 0
        assert "lora-tui opencode revert" in out
        patched(out, tmp_path, {str(file): copy})
        assert plain(copy) == plain(file)


@pytest.mark.usefixtures("specialists")
def test_a_folder_of_settings_that_is_a_link_stays_one(
    workspace: Workspace, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dotfiles = tmp_path / "dotfiles"
    folder.rename(dotfiles)
    folder.symlink_to(dotfiles)
    (dotfiles / "opencode.json").write_text(COMMENTED)
    before = everything(dotfiles)
    lora_tui(workspace, capsys, "apply", "--url", URL)
    assert folder.is_symlink()
    assert (dotfiles / "agent" / "build-ts.md").is_file()
    lora_tui(workspace, capsys, "revert")
    assert everything(dotfiles) == before
    assert folder.is_symlink()


def test_an_agent_gets_no_other_prompt_than_it_was_trained_with(
    workspace: Workspace, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace.profiles / "captured.toml").write_text(
        'name = "captured"\ndescription = "as the agent sees it"\n[model]\nbase = "x"\n[data]\ncapture = "build"\n'
    )
    add_specialist(workspace, "captured", "captured", tmp_path / "Base-1B")
    add_specialist(workspace, "build", "unknown", tmp_path / "Base-1B")
    done = lora_tui(workspace, capsys, "apply", "--url", URL)
    assert "'build' is an agent of opencode's own" in done["notes"][0]
    assert (folder / "agent" / "captured.md").read_text().endswith("model: lora/captured\n---\n")
    assert "specialist for build." in (folder / "agent" / "build.md").read_text()
    (tmp_path / "prompt").write_text("Be brief.")
    lora_tui(workspace, capsys, "apply", "--url", URL, "--prompt", str(tmp_path / "prompt"))
    assert (folder / "agent" / "captured.md").read_text().endswith("---\n\nBe brief.\n")


def test_an_error_in_the_middle_leaves_everything_as_it_was(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "opencode.json").write_text(COMMENTED)
    before = everything(folder)
    plan = make(workspace, places.global_place(Path.cwd()), WANTED)
    (folder / "agent").write_text("in the way")
    with pytest.raises(LoraTuiError):
        apply(workspace, plan, WANTED, ["build-rust"])
    (folder / "agent").unlink()
    assert everything(folder) == before
    assert not records(workspace)
    (folder / "opencode.json").write_text("{}")
    with pytest.raises(LoraTuiError, match="changed while you looked"):
        apply(workspace, plan, WANTED, ["build-rust"])
    assert (folder / "opencode.json").read_text() == "{}"
    (folder / "opencode.json").write_text('{"provider": {"lora": {}}}')
    with pytest.raises(BadInput, match="a provider 'lora' already"):
        make(workspace, places.global_place(Path.cwd()), WANTED)
