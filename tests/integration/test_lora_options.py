"""Every kind of adapter a profile can ask for is trained for real, and what is saved is what was trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import architectures
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Lora, Model, Profile, Training

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]  # a busy machine imports for minutes

STEPS = 3
SHARED = ("shared_expert.gate_proj.weight", "shared_expert.up_proj.weight", "shared_expert.down_proj.weight")
NEXT = ("q_proj", "k_proj", "v_proj", "o_proj", "in_proj_qkvz", "in_proj_ba", "out_proj")


class Run(msgspec.Struct):
    """A finished run: its folder, and what the trained model in memory said."""

    folder: Path
    base: Path
    logits: Any
    trainer: Any

    @property
    def adapter(self) -> Path:
        """Where the adapter lies."""
        return self.folder / "adapter"


Do = Callable[..., Run]


@pytest.fixture(scope="module")
def made_bases(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Callable[[str], Path]:
    """Tiny bases by architecture."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("bases")
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    return lambda kind: folder / kind if (folder / kind).is_dir() else architectures.make_base(kind, folder, tokenizer)


@pytest.fixture
def do(
    workspace: Workspace,
    made_bases: Callable[[str], Path],
    small_dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Do:
    """Train three steps in this process, with these values in [lora], [training] and [model]."""
    from lora_tui.worker import train as training
    from lora_tui.worker.requests import Requests

    def run(kind: str = "qwen2", model: dict[str, Any] | None = None, recipe: Any = None, **lora: Any) -> Run:
        profile = Profile(
            name="option",
            model=Model(base="tiny", **(model or {})),
            lora=Lora(**{"r": 4, "lora_alpha": 8, "target_modules": ("q_proj", "v_proj")} | lora),
            training=Training(
                **{
                    "max_steps": STEPS,
                    "max_length": 256,
                    "per_device_train_batch_size": 4,
                    "gradient_accumulation_steps": 1,
                    "learning_rate": 1e-2,
                    "lr_scheduler_type": "constant",
                    "bf16": False,
                }
                | (recipe or {})
            ),
        )
        base = made_bases(kind)
        made = supervisor.create(
            workspace, Train(profile=profile, base=str(base), dataset=str(small_dataset)), "option"
        )
        seen: list[Any] = []
        init = training.AssistantTrainer.__init__

        def remember(self: Any, *arguments: Any, **options: Any) -> None:
            init(self, *arguments, **options)
            seen.append(self)

        monkeypatch.setattr(training.AssistantTrainer, "__init__", remember)
        log = journal.Journal(made.journal)
        training.train(made.file.job, made.folder, log, Requests(made.folder))
        log.close()
        assert isinstance(RunView.of(made).last_word, journal.Finished)
        (trainer,) = seen
        monkeypatch.undo()
        return Run(folder=made.folder, base=base, logits=said(trainer.model), trainer=trainer)

    return run


def said(model: Any) -> Any:
    """The logits of a few tokens, computed by the layers themselves."""
    import torch

    model.eval()
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    with torch.no_grad():
        hidden = inner.model(input_ids=torch.arange(5, 45)[None], use_cache=False).last_hidden_state
        return inner.lm_head(hidden).float()


def loaded(run: Run, *, dtype: str = "float32") -> Any:
    """The original base with the saved adapter on it, as anybody would load them."""
    from lora_tui.worker import loading

    return loading.load_adapter(
        loading.load_model(str(run.base), bf16=dtype == "bfloat16", device="cpu"), str(run.adapter)
    )


def plain(run: Run) -> Any:
    """What the base says without an adapter."""
    from lora_tui.worker import loading

    return said(loading.load_model(str(run.base), bf16=False, device="cpu"))


OPTIONS: list[dict[str, Any]] = [
    {"use_rslora": True},
    {"use_dora": True},
    {"init_lora_weights": "pissa"},
    {"init_lora_weights": "pissa_niter_4"},
    {"init_lora_weights": "olora"},
    {"init_lora_weights": "pissa", "use_dora": True},
    {"init_lora_weights": "pissa", "use_rslora": True, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 4}},
    {"init_lora_weights": "eva"},
    {"init_lora_weights": "orthogonal"},
    {"init_lora_weights": "gaussian"},
    {"loraplus_lr_ratio": 16.0},
    {"target_modules": "all-linear", "exclude_modules": ("up_proj",)},
    {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 16}},
    {"modules_to_save": ("norm",)},
]


@pytest.mark.parametrize("lora", OPTIONS, ids=lambda lora: "+".join(f"{key}={value}" for key, value in lora.items()))
def test_what_is_saved_belongs_on_the_original_base_and_says_what_was_trained(do: Do, lora: dict[str, Any]) -> None:
    import torch

    run = do(**lora)
    again = said(loaded(run))
    torch.testing.assert_close(again, run.logits, atol=2e-4, rtol=2e-4)
    assert (again - plain(run)).abs().max() > 1e-2


def test_rank_scale_and_layers_are_those_asked_for(do: Do) -> None:
    run = do(
        target_modules="all-linear",
        exclude_modules=("up_proj",),
        rank_pattern={"q_proj": 2},
        alpha_pattern={"q_proj": 6},
        use_rslora=True,
    )
    layers = {name.rpartition(".")[2]: item for name, item in loaded(run).named_modules() if hasattr(item, "lora_A")}
    assert set(layers) == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj"}
    assert layers["q_proj"].r["default"] == 2
    assert layers["q_proj"].scaling["default"] == pytest.approx(6 / 2**0.5)
    assert layers["k_proj"].scaling["default"] == pytest.approx(8 / 4**0.5)


def test_eva_begins_with_the_directions_of_the_rows(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from lora_tui.worker import train as training

    firsts: list[Any] = []
    begin = training.begin_from_rows

    def watched(model: Any, *arguments: Any) -> None:
        begin(model, *arguments)
        firsts.extend(weight.detach().clone() for name, weight in model.named_parameters() if "lora_A" in name)

    monkeypatch.setattr(training, "begin_from_rows", watched)
    do(init_lora_weights="eva", recipe={"learning_rate": 1e-9})
    assert firsts
    for first in firsts:
        torch.testing.assert_close(first @ first.T, torch.eye(first.shape[0]), atol=1e-3, rtol=1e-3)


def test_lora_plus_lets_b_learn_faster_and_goes_with_8_bit_states(do: Do) -> None:
    run = do(loraplus_lr_ratio=16.0, recipe={"optim": "adamw_8bit"})
    rates = sorted({group["lr"] for group in run.trainer.optimizer.param_groups if group["params"]})
    assert rates == pytest.approx([1e-2, 16e-2])
    assert "bitsandbytes" in type(run.trainer.optimizer.optimizer).__module__


@pytest.mark.parametrize("bits", [4, 8])
def test_a_base_in_few_bits_is_trained_and_the_adapter_fits_it_and_the_whole_one(do: Do, bits: int) -> None:
    from lora_tui.worker import loading

    run = do(model={f"load_in_{bits}bit": True}, target_modules="all-linear")
    kinds = {type(module).__name__ for module in run.trainer.model.modules()}
    assert ("Linear4bit" if bits == 4 else "Linear8bitLt") in kinds
    base = loading.load_model(str(run.base), bf16=False, device="cpu", bits=bits)
    before = said(base)
    again = said(loading.load_adapter(base, str(run.adapter)))
    # TRL holds these adapters in bfloat16 while they are trained, and 8 bit rounds what comes into a layer, too.
    assert (again - run.logits).norm() < 0.1 * (run.logits - before).norm()
    assert (said(loaded(run)) - plain(run)).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_new_tokens_are_learned_and_come_with_the_adapter(do: Do, kind: str) -> None:
    import torch
    from transformers import AutoTokenizer

    run = do(kind=kind, new_tokens=("fn f", "println!(", "<plan>"))
    tokenizer = AutoTokenizer.from_pretrained(run.adapter)
    ids = tokenizer.convert_tokens_to_ids(["fn f", "println!(", "<plan>"])
    assert tokenizer("fn f7", add_special_tokens=False)["input_ids"][0] == ids[0]
    again = loaded(run)
    torch.testing.assert_close(said(again), run.logits, atol=2e-4, rtol=2e-4)
    row = {"input_ids": torch.arange(5, 45)[None], "labels": torch.arange(5, 45)[None]}
    row["labels"][:, ::3] = -100
    with torch.no_grad():
        inner = again.get_base_model()
        run.trainer.model.eval()
        ours = run.trainer.compute_loss(run.trainer.model, {**row, "attention_mask": torch.ones_like(row["input_ids"])})
        assert float(ours) == pytest.approx(float(inner(**row).loss), abs=1e-4), "the head's new tokens count too"
    table = again.get_input_embeddings()
    seen = table(torch.tensor(ids))
    first = table.original_module if hasattr(table, "original_module") else table
    assert (seen[0] - first.weight[ids[0]]).abs().max() > 1e-3, "it stands in the rows, so it was trained"


def test_new_tokens_are_learned_on_a_base_in_bf16_too(do: Do) -> None:
    run = do(recipe={"bf16": True}, new_tokens=("fn f",))
    notes = [
        item.message
        for item in journal.JournalReader(run.folder / "journal.jsonl").read()
        if isinstance(item, journal.Note)
    ]
    assert any("held in bf16" in note for note in notes), "its loss was compared, the new token among its ids"


def test_the_shared_expert_of_a_mixture_is_trained_by_its_parameters_alone(do: Do) -> None:
    import torch

    run = do(kind="qwen3-next", target_modules=NEXT, target_parameters=SHARED)
    again = loaded(run)
    torch.testing.assert_close(said(again), run.logits, atol=2e-4, rtol=2e-4)
    trained = {name for name, weight in again.named_parameters() if "lora_" in name}
    assert any("shared_expert.down_proj" in name for name in trained)
    assert not any(".experts." in name for name in trained)


@pytest.mark.parametrize(
    "targets", ["all-linear", ("q_proj", "gate_proj", "up_proj", "down_proj"), ("shared_expert.up_proj",)]
)
def test_what_peft_would_rewrite_on_a_mixture_is_refused_with_the_safe_targets(do: Do, targets: Any) -> None:
    with pytest.raises(BadInput, match="every routed expert") as caught:
        do(kind="qwen3-next", target_modules=targets)
    assert '"in_proj_qkvz"' in caught.value.fix
    assert f'"{SHARED[0]}"' in caught.value.fix
    assert "lm_head" not in caught.value.fix


@pytest.mark.parametrize(
    ("name", "settings", "rates"),
    [
        ("exponential", {"min_lr_rate": 0.01}, [1, 0.1**0.4, 0.1**0.8, 0.1**1.2, 0.1**1.6]),
        ("polynomial", {"power": 2.0, "lr_end": 1e-6}, [1, 0.64, 0.36, 0.16, 0.04]),
        ("linear", {}, [1, 0.8, 0.6, 0.4, 0.2]),
        ("constant", {}, [1, 1, 1, 1, 1]),
        ("cosine", {}, [1, 0.9045, 0.6545, 0.3455, 0.0955]),
        ("cosine_with_restarts", {"num_cycles": 2.0}, [1, 0.6545, 0.0955, 0.9045, 0.3455]),
        ("inverse_sqrt", {"timescale": 1.0}, [1, 0.7071, 0.5774, 0.5, 0.4472]),
    ],
)
def test_a_schedule_falls_as_it_says(name: str, settings: dict[str, float], rates: list[float]) -> None:
    import torch

    from lora_tui.worker.arguments import schedule

    def seen(warmup: int, total: int) -> list[float]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        made = schedule(Training(lr_scheduler_type=name, lr_scheduler_kwargs=settings), optimizer, warmup, total)
        found = []
        for _ in range(total):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            made.step()
        return found

    assert seen(0, 5) == pytest.approx(rates, abs=1e-3)
    if name != "constant":
        assert seen(2, 7)[:3] == pytest.approx([0, 0.5, 1], abs=1e-3), "the warm-up rises to the full rate"


RESUMED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"init_lora_weights": "pissa_niter_4", "loraplus_lr_ratio": 4.0}, {"lr_scheduler_type": "exponential"}),
    ({"init_lora_weights": "eva", "lora_dropout": 0.1}, {"optim": "adamw_8bit", "warmup_ratio": 0.5}),
    ({"new_tokens": ("fn f",), "use_dora": True}, {"lr_scheduler_type": "cosine"}),
]


@pytest.mark.parametrize(("lora", "recipe"), RESUMED, ids=["pissa", "eva", "tokens"])
def test_a_resumed_run_ends_with_the_adapter_of_one_that_was_never_stopped(
    do: Do, lora: dict[str, Any], recipe: dict[str, Any]
) -> None:
    import torch
    from safetensors.torch import load_file

    from lora_tui.jobs.job import load_job
    from lora_tui.worker.requests import Requests
    from lora_tui.worker.train import train

    run = do(recipe={"max_steps": 4, "save_steps": 2} | recipe, **lora)
    first = load_file(run.adapter / "adapter_model.safetensors")
    shutil.rmtree(run.adapter)
    shutil.rmtree(run.folder / "checkpoints" / "checkpoint-4")
    log = journal.Journal(run.folder / "journal.jsonl")
    torch.manual_seed(99)
    train(load_job(run.folder / "job.toml").job, run.folder, log, Requests(run.folder))
    log.close()
    again = load_file(run.adapter / "adapter_model.safetensors")
    assert again.keys() == first.keys()
    for name, weight in first.items():
        torch.testing.assert_close(again[name], weight, atol=1e-5, rtol=1e-4)


def test_a_beginning_that_comes_out_otherwise_on_another_machine_does_no_harm(do: Do) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from lora_tui.jobs.job import load_job
    from lora_tui.worker.lora import with_lora
    from lora_tui.worker.taken_out import keep_beginning

    run = do(init_lora_weights="pissa_niter_1")
    model = AutoModelForCausalLM.from_pretrained(run.base)
    before = said(model)
    torch.manual_seed(99)  # the random projections are others
    tuned = with_lora(model, load_job(run.folder / "job.toml").job.profile)
    keep_beginning(tuned, run.folder, first=True)
    torch.testing.assert_close(said(tuned), before, atol=2e-4, rtol=2e-4)
    layer = next(item for item in tuned.modules() if hasattr(item, "lora_A"))
    from safetensors.torch import load_file

    kept = load_file(run.folder / "beginning.safetensors")
    assert any(torch.equal(layer.lora_A["default"].weight, weight) for name, weight in kept.items() if "lora_A" in name)


@pytest.mark.parametrize(
    "optim", ["adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit", "adafactor"]
)
def test_an_optimizer_by_its_name_trains(do: Do, optim: str) -> None:
    run = do(recipe={"optim": optim})
    assert (said(loaded(run)) - plain(run)).abs().max() > 1e-3


def test_the_names_a_profile_may_give_are_those_of_the_engine() -> None:
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    from lora_tui.workspace.profiles.known import EXPONENTIAL, OPTIMIZERS, SCHEDULES

    assert set(OPTIMIZERS) == {item.value for item in OptimizerNames}
    assert set(SCHEDULES) == {item.value for item in SchedulerType} | {EXPONENTIAL}
