"""The chat file a tiny base is made from, and the sessions beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lora_tui.demo import content
from lora_tui.worker.chats import load_chats
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.resources import shipped


def test_placeholders_are_filled_in_from_every_row(tmp_path: Path) -> None:
    path = tmp_path / "chats.toml"
    path.write_text(
        'text = ["plain"]\n[[chat]]\nask = ["What is {a}?", "{a}?"]\nsay = ["{b}."]\n'
        'over = [{a = "snow", b = "white"}, {a = "coal", b = "black"}]\n'
    )
    conversations, texts = load_chats(path)
    assert [[message["content"] for message in messages] for messages in conversations] == [
        ["What is snow?", "white."],
        ["snow?", "white."],
        ["What is coal?", "black."],
        ["coal?", "black."],
    ]
    assert texts == ["plain"]


def test_a_chat_file_without_chats_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chats.toml"
    path.write_text("chat = []\n")
    with pytest.raises(BadInput, match="no chat"):
        load_chats(path)


def test_the_demos_chats_never_answer_in_rust() -> None:
    conversations, _ = load_chats(content.chats_path())
    assert len(conversations) > 300
    assert not any("rust" in message["content"].lower() for messages in conversations for message in messages)


def test_the_demos_sessions_cover_the_languages() -> None:
    sessions = content.sessions()
    assert len(sessions) >= 20
    assert [session["created"] for session in sessions] == sorted(session["created"] for session in sessions)
    text = str(sessions)
    for fence in ("```rust", "```typescript", "```python", "```ruby", "```swift"):
        assert fence in text
    children = [session for session in sessions if "parent" in session]
    assert [sessions[child["parent"]]["title"] for child in children] == ["Where is the cache written?"]


def test_the_suites_prompts_are_not_in_the_training_data() -> None:
    asked = {turn["user"].lower().strip(" .?!") for session in content.sessions() for turn in session["turns"]}
    suite = yaml.safe_load((shipped("profiles") / "suites" / f"{content.SUITE}.yaml").read_text())
    assert len(suite["tests"]) == 5
    for test in suite["tests"]:
        assert test["vars"]["prompt"].lower().strip(" .?!") not in asked
