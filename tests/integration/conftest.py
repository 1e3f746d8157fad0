"""A tiny base, made once by the real engine, and small datasets to train it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_tui.jobs import supervisor
from lora_tui.jobs.job import TinyBase, Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Forgetting, Lora, Model, Profile, Training

CHATS = """
text = ["fn main() { println!(\\"hi\\"); }", "def main(): print('hi')", "<tool_call> {} </tool_call>"]

[[chat]]
ask = ["What is {a}?", "Tell me what {a} is."]
say = ["{a} is {b}."]
over = [{a = "snow", b = "white"}, {a = "grass", b = "green"}, {a = "coal", b = "black"}, {a = "blood", b = "red"}]

[[chat]]
ask = ["Hello!", "Good morning", "Hi there"]
say = ["Hello! How can I help?"]
"""


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Qwen2-shaped model with a ChatML template."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "chats.toml").write_text(CHATS)
    workspace = Workspace(folder / "workspace")
    job = TinyBase(chats=str(folder / "chats.toml"), output=str(folder / "tiny"), steps=25)
    run = supervisor.create(workspace, job, "tiny base")
    supervisor.start(run)
    assert supervisor.wait(run, 180)
    assert RunView.of(run).state == "finished", (run.folder / "stderr.log").read_text()
    return folder / "tiny"


def write_dataset(folder: Path, rows: list[dict[str, Any]], validation: int = 2) -> Path:
    """A dataset folder with these training rows; the first few also validate."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, part in (("train", rows), ("validation", rows[:validation]), ("test", rows[:1])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return folder


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty short conversations, half of them with a tool call."""
    rows = []
    for index in range(20):
        messages: list[dict[str, Any]] = [{"role": "user", "content": f"Write function number {index}."}]
        if index % 2:
            call = {
                "id": "call_1",
                "type": "function",
                "function": {"name": "read", "arguments": json.dumps({"filePath": f"src/f{index}.rs"})},
            }
            messages += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "// empty"},
            ]
        messages.append({"role": "assistant", "content": f"fn f{index}() -> i32 {{ {index} }}"})
        rows.append({"id": f"row-{index}", "messages": messages})
    return write_dataset(tmp_path_factory.mktemp("dataset") / "small", rows)


@pytest.fixture(scope="session")
def small_profile() -> Profile:
    """A profile whose run takes 20 short steps, with dropout so that a resume has random state to restore."""
    return Profile(
        name="small",
        model=Model(base="tiny"),
        lora=Lora(r=8, lora_alpha=16, lora_dropout=0.1),
        training=Training(
            num_train_epochs=4,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            learning_rate=5e-3,
            max_length=256,
            bf16=False,  # losses are compared to the fourth digit, on whatever processor
        ),
        forgetting=Forgetting(measure=False),
    )


NewRun = Callable[..., Run]


@pytest.fixture
def new_run(workspace: Workspace, tiny_base: Path, small_dataset: Path, small_profile: Profile) -> NewRun:
    """Creates training runs in this test's workspace; what is not given is the small one."""

    def create(**changes: Any) -> Run:
        given: dict[str, Any] = {
            "profile": small_profile,
            "base": str(tiny_base),
            "dataset": str(small_dataset),
        } | changes
        return supervisor.create(workspace, Train(**given), "small on tiny")

    return create
