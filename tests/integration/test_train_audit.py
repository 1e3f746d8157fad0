"""The audit: what a run would train on, counted before it starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lora_tui.jobs import audit, supervisor
from lora_tui.jobs.job import Audit
from lora_tui.jobs.view import RunView
from lora_tui.worker.__main__ import main
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile

pytestmark = pytest.mark.engine


def test_the_audit_counts_what_is_trained_on_and_lists_what_is_not(
    workspace: Workspace, tiny_base: Path, small_profile: Profile, tmp_path: Path
) -> None:
    from lora_tui.worker.loading import load_tokenizer
    from lora_tui.worker.render import tokenize
    from lora_tui.worker.rows import read_split

    def row(identity: str, answer: str | None) -> dict[str, object]:
        messages = [{"role": "user", "content": "Say snow."}]
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        return {"id": identity, "messages": messages}

    dataset = tmp_path / "dataset"
    dataset.mkdir()
    rows = [row(f"r{index}", "snow " * (index + 1)) for index in range(9)] + [
        row("long", "snow " * 900),
        row("mute", None),
    ]
    (dataset / "train.jsonl").write_text("".join(json.dumps(item) + "\n" for item in rows))
    run = supervisor.create(workspace, Audit(profile=small_profile, base=str(tiny_base), dataset=str(dataset)), "audit")
    assert main([str(run.folder / "job.toml")]) == 0

    result = audit.load(run.folder)
    kept, _ = tokenize(load_tokenizer(str(tiny_base)), read_split(dataset, "train"), "train", 256)
    assert result.rows == 9
    assert [item.id for item in result.rows_too_long] == ["long"]
    assert [item.id for item in result.rows_without_loss] == ["mute"]
    assert result.longest == result.rows_too_long[0].tokens > 256
    assert result.longest_kept == max(len(item.input_ids) for item in kept) < 256
    assert result.most_loss_tokens == max(item.loss_tokens for item in kept)
    shape = json.loads((tiny_base / "config.json").read_text())
    assert (result.vocabulary, result.hidden_size, result.layers) == (
        shape["vocab_size"],
        shape["hidden_size"],
        shape["num_hidden_layers"],
    )
    assert result.tokens == sum(len(item.input_ids) for item in kept)
    assert result.loss_tokens == sum(item.loss_tokens for item in kept)
    assert sum(item.rows for item in result.histogram) == 11
    assert result.steps == 12  # 9 rows: 5 batches of 2, 3 steps an epoch, 4 epochs


def test_the_audit_and_the_run_agree_on_steps_and_trainable_parameters(
    workspace: Workspace,
    tiny_base: Path,
    small_dataset: Path,
    small_profile: Profile,
    new_run: Callable[..., supervisor.Run],
) -> None:
    from safetensors import safe_open

    quick = msgspec.structs.replace(
        small_profile, training=msgspec.structs.replace(small_profile.training, num_train_epochs=0.5)
    )
    counting = supervisor.create(workspace, Audit(profile=quick, base=str(tiny_base), dataset=str(small_dataset)), "a")
    assert main([str(counting.folder / "job.toml")]) == 0
    counted = audit.load(counting.folder)
    run = new_run(profile=quick)
    assert main([str(run.folder / "job.toml")]) == 0
    view = RunView.of(run)
    assert view.total_steps == counted.steps
    with safe_open(run.folder / "adapter" / "adapter_model.safetensors", "pt") as file:
        saved = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    assert saved == counted.trainable_parameters
