"""Every key of a profile's [data] changes the version that is built, and what it cannot be is refused by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lora_tui.curation import examples, labels
from lora_tui.dataset import versions
from lora_tui.dataset.model import SPLITS
from lora_tui.sources.opencode.capture import captured, save_capture
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data, load_profile
from stories import calls, says, store_session, user

WORDS = ("apple", "river", "stone", "cloud", "tiger", "paper", "wheel", "green", "north", "glass")

CHANGED: dict[str, Any] = {
    "languages": ("ruby",),
    "min_confidence": 0.85,
    "outcomes": ("failed",),
    "models": ("other/model",),
    "sources": ("claude-code",),
    "accepted_by": "people",
    "synthetic_share": 0.0,
    "repository_share": 1.0,
    "per_session": 1,
    "per_repository": 2,
    "rows": {"rust": 2},
    "repeat": 3,
    "replay": "general.jsonl",
    "replay_share": 0.5,
    "shape": "plain",
    "form": "diff",
    "tool_target": "opencode-v2",
    "cap": 100,
    "context": 0,
    "capture": "build",
    "reasoning": True,
}
WITH: dict[str, dict[str, Any]] = {  # what a key needs beside it
    "repeat": {"rows": {"rust": 60}},
    "replay_share": {"replay": "general.jsonl"},
    "form": {"shape": "plain"},
}


@pytest.fixture
def told(workspace: Workspace) -> Workspace:
    """Sessions of two requests in six repositories and two languages, and synthetic examples beside them."""
    for number, word in enumerate(WORDS * 2):
        ext, text = ("rs", "rb")[number % 2], " ".join(f"{word}{number}x{at}" for at in range(25))
        path = f"/home/dev/app/src/{word}.{ext}"
        source = ("opencode", "claude-code", "augment")[(number % 5 == 0) + (number > 14)] if number > 3 else "opencode"
        model = ("lab/model", "other/model")[number % 3 == 0]
        said = [
            user(f"Write {word} {number}: {text}"),
            *calls("read", {"filePath": path}, "\n".join(f"{at}: {text} {at}" for at in range(1, 5)), call_id="r"),
            *calls("edit", {"filePath": path, "oldString": f"{text} 2", "newString": f"{text} two"}, "ok", call_id="e"),
            says("Done.", model=model),
            user(f"Now explain what {word} {number} is about"),
            says(f"It is about {text} and nothing else.", model=model),
        ]
        said[-1] = type(said[-1])(
            role="assistant", content=said[-1].content, reasoning_content=f"hm {number}", about=said[-1].about
        )
        store_session(workspace, f"ses_{number:02}", said, created=1_790_000_000_000 + number, source=source)
    connection = workspace.connection()
    connection.execute(
        "UPDATE session SET directory = '/home/dev/' || CASE WHEN id < 9 THEN 'app' ELSE 'lib' || id END"
    )
    examples.refresh(workspace)
    connection.execute("UPDATE example SET cluster = NULL, confidence = 0.8 + 0.1 * (id % 2)")
    connection.execute("UPDATE example SET outcome = CASE WHEN id % 4 = 0 THEN 'failed' ELSE 'success' END")
    ids = sorted(examples.ids(workspace))
    labels.decide(workspace, ids[:20], "accept", author="ana")
    labels.decide(workspace, ids[20:], "accept", author="demo")
    save_capture(workspace, captured("build", "1.0", "You are careful.", TOOLS, 0.0))
    general = [
        {"messages": [{"role": "user", "content": f"Why {n}?"}, {"role": "assistant", "content": f"So {n}."}]}
        for n in range(40)
    ]
    (workspace.root / "general.jsonl").write_text("".join(json.dumps(one) + "\n" for one in general))
    return workspace


TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("read", "edit")]


def contents(workspace: Workspace, name: str, data: Data) -> list[bytes]:
    folder = versions.build(workspace, name, data).folder
    return [(folder / f"{split}.jsonl").read_bytes() for split in SPLITS]


def test_every_key_changes_what_is_built(told: Workspace) -> None:
    assert CHANGED.keys() == set(Data.__struct_fields__) - {"target", "targets"}
    for key, value in CHANGED.items():
        beside = WITH.get(key, {})
        before = contents(told, f"{key.replace('_', '-')}-before", Data(**beside))
        assert contents(told, f"{key.replace('_', '-')}-after", Data(**beside, **{key: value})) != before, key


def test_a_target_is_what_progress_is_measured_by_and_cuts_no_version(told: Workspace) -> None:
    assert contents(told, "one", Data(target=3, targets={"rust": 2})) == contents(told, "two", Data())


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("target = -1", "target"),
        ("targets = {rust = -1}", "targets"),
        ("min_confidence = 1.5", "min_confidence"),
        ('outcomes = ["fine"]', "outcomes"),
        ('models = "one"', "models"),
        ("sources = [1]", "sources"),
        ('languages = "rust"', "languages"),
        ('accepted_by = "me"', "accepted_by"),
        ("synthetic_share = -0.1", "synthetic_share"),
        ("repository_share = 30", "repository_share"),
        ("per_session = -1", "per_session"),
        ("per_repository = 1.5", "per_repository"),
        ("rows = {rust = -2}", "rows"),
        ("repeat = 0", "repeat"),
        ("replay = 3", "replay"),
        ("replay_share = 1.0", "replay_share"),
        ('shape = "chat"', "shape"),
        ('form = "xml"', "form"),
        ('tool_target = "opencode"', "tool_target"),
        ("cap = -1", "cap"),
        ("context = -1", "context"),
        ("capture = 1", "capture"),
        ('reasoning = "yes"', "reasoning"),
        ("repositoryshare = 0.3", "repositoryshare"),
    ],
)
def test_what_a_key_cannot_be_is_refused_with_file_and_key(tmp_path: Path, line: str, key: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\n[model]\nbase = "demo"\n[data]\n{line}\n')
    with pytest.raises(BadInput) as refused:
        load_profile(Workspace(tmp_path / "workspace"), str(path))
    assert "mine.toml" in str(refused.value)
    assert key in str(refused.value)
