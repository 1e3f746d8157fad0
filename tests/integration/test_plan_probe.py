"""One real step before a run: what it says is what the run then takes, and it is remembered."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

import run_stories
from lora_tui.backends import bases, probe
from lora_tui.cli.main import cli
from lora_tui.dataset import versions
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Forgetting, Lora, Model, Profile, Training

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

WORDS = [f"{one}{two}{three}" for one in "abcdefgh" for two in "aeiou" for three in "nrst"]
PROFILE = Profile(
    name="probed",
    model=Model(base="demo"),
    lora=Lora(r=16),
    training=Training(
        num_train_epochs=1,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        max_length=512,
        report_to=(),
    ),
    forgetting=Forgetting(measure=False),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Dataset]:
    """A workspace whose demo base has 22 million random weights, and a dataset of rows of 60 to 480 tokens."""
    layers = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 6}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 2}
    config = {**layers, **heads, "vocab_size": 8_000, "tie_word_embeddings": True}
    return make_place(tmp_path_factory.mktemp("probe"), "qwen2", config, PROFILE)


def make_place(folder: Path, kind: str, shape: dict[str, Any], profile: Profile) -> tuple[Workspace, Dataset]:
    """A workspace whose demo base has that shape, with the profile and a dataset of rows of 60 to 480 tokens."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from lora_tui.worker.tiny_tokenizer import make_tokenizer

    workspace = Workspace(folder)
    rng = random.Random(0)
    tokenizer = make_tokenizer([" ".join(rng.choices(WORDS, k=3000))], 1000, 2048)
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **shape)
    config.pad_token_id, config.eos_token_id, config.bos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id, None
    base = bases.demo_base(workspace)
    AutoModelForCausalLM.from_config(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    run_stories.write_profile(workspace, profile)
    dataset = run_stories.write_dataset(workspace)
    for split, numbers in (("train", range(12)), ("validation", range(12, 15))):
        lines = []
        for number in numbers:
            words = 30 + 230 * (number % 12) // 11
            said = [" ".join(rng.choices(WORDS, k=size)) for size in (words // 2, words // 2)]
            messages = [{"role": "user", "content": said[0]}, {"role": "assistant", "content": said[1]}]
            lines.append(json.dumps({"id": f"{split}-{number}", "messages": messages}) + "\n")
        (dataset.folder / f"{split}.jsonl").write_text("".join(lines))
    return workspace, versions.find(workspace, "rust@1")


WORKER = """
import re, sys
from lora_tui.worker.__main__ import main
code = main(sys.argv[1:])
print("peak", re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read()).group(1))
sys.exit(code)
"""


def peak_of(run: Run) -> int:
    """Bytes that the process of a run reached, as the operating system counted them at its end."""
    command = [sys.executable, "-c", WORKER, str(run.folder / "job.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert RunView.of(run).state == "finished", done.stderr[-2000:]
    return int(done.stdout.split("peak ")[-1]) * 1024


def test_a_probed_step_says_what_the_run_will_take_and_later_plans_know_it(place: tuple[Workspace, Dataset]) -> None:
    workspace, dataset = place
    base = str(bases.demo_base(workspace))

    def planned(*more: str) -> str:
        asked = ["--workspace", str(workspace.root), "plan", "probed", "--dataset", "rust", "--json", *more]
        done = CliRunner().invoke(cli, asked)
        assert done.exit_code == 0, done.output
        return done.stdout

    first = json.loads(planned("--probe"))
    run = supervisor.create(workspace, Train(profile=PROFILE, base=base, dataset=str(dataset.folder)), "whole")
    reached = peak_of(run)
    assert first["probed"]["peak"] == pytest.approx(reached, rel=0.05)
    assert first["memory_needed"] == first["probed"]["peak"]
    assert first["probed"]["tokens_per_second"] > 0
    assert first["seconds"][0] < first["seconds"][1]
    assert [item.id for item in supervisor.runs(workspace)] == [run.id]  # the step left no run behind

    again = json.loads(planned())
    assert again["probed"] == first["probed"]
    assert "one run of this base" in again["pace"]["source"]
    assert json.loads(planned("--set", "training.learning_rate=0.001"))["probed"] == first["probed"]
    assert json.loads(planned("--set", "training.per_device_train_batch_size=1"))["probed"] is None

    estimate = again["memory"]
    parts = ("weights", "adapters", "gradients", "optimizer", "runtime", "slack")
    total = sum(estimate[name] for name in parts) + estimate["activations"] + max(estimate["logits"], estimate["layer"])
    assert total == pytest.approx(reached, rel=0.20)

    modules = {item["name"]: item for item in again["measured"]["modules"]}
    assert modules["self_attn.q_proj"] == {
        "name": "self_attn.q_proj",
        "count": 6,
        "parameters": 6 * 16 * (512 + 512),
        "routed": False,
        "whole": False,
    }
    assert sum(item["parameters"] for item in modules.values()) == again["measured"]["trainable"]


def test_the_step_says_the_peak_of_a_deeper_base_with_checkpointing_too(tmp_path: Path) -> None:
    shape = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 14, "num_attention_heads": 6}
    more = {"num_key_value_heads": 6, "head_dim": 64, "vocab_size": 16_000, "tie_word_embeddings": False}
    training = msgspec.structs.replace(
        PROFILE.training, gradient_checkpointing=True, per_device_train_batch_size=1, bf16=False
    )
    lora = Lora(r=32, lora_dropout=0.1, target_modules=("q_proj", "v_proj", "down_proj"))
    profile = msgspec.structs.replace(PROFILE, lora=lora, training=training)
    workspace, dataset = make_place(tmp_path, "qwen3", shape | more, profile)
    base = str(bases.demo_base(workspace))
    found = probe.take(workspace, base, profile, dataset)
    run = supervisor.create(workspace, Train(profile=profile, base=base, dataset=str(dataset.folder)), "whole")
    assert found.peak == pytest.approx(peak_of(run), rel=0.05)


def test_a_step_that_cannot_be_taken_says_why_and_is_not_remembered(place: tuple[Workspace, Dataset]) -> None:
    workspace, dataset = place
    base = str(bases.demo_base(workspace))
    short = msgspec.structs.replace(PROFILE, training=msgspec.structs.replace(PROFILE.training, max_length=4))
    with pytest.raises(LoraTuiError) as caught:
        probe.take(workspace, base, short, dataset)
    assert "row" in caught.value.what
    assert probe.remembered(workspace, base, short, dataset) is None


def test_experts_of_a_mixture_stand_apart_in_what_will_be_trained() -> None:
    from transformers import Qwen3MoeConfig

    from lora_tui.worker.measure import count

    config = Qwen3MoeConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        moe_intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        num_experts=8,
        num_experts_per_tok=2,
    )
    lora = Lora(
        r=4,
        target_modules=("q_proj", "v_proj"),
        target_parameters=("mlp.experts.gate_up_proj", "mlp.experts.down_proj"),
    )
    found = count(config, Profile(name="x", model=Model(base="x"), lora=lora))
    by_name = {item.name: item for item in found.modules}
    assert by_name["self_attn.q_proj"].count == 2
    assert not by_name["self_attn.q_proj"].routed
    assert by_name["mlp.experts"].routed
    assert by_name["mlp.experts"].parameters == 2 * 8 * 4 * ((64 + 64) + (32 + 64))
