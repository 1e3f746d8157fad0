"""What a run is said to need, against what is known of real ones; and what would make it fit."""

from __future__ import annotations

import importlib.util
import statistics
import tomllib
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from lora_tui.backends import fit, shape
from lora_tui.backends.memory import Batch, Estimate, Holding, estimate
from lora_tui.backends.needs import Inside, inside, needed
from lora_tui.backends.place import Place
from lora_tui.jobs.audit import Audited, Bin, Counted, Packing
from lora_tui.workspace.profiles import Lora, Model, Profile, Training
from lora_tui.workspace.profiles.settings import with_settings

GIB = 1024**3
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GPU = Place("NVIDIA A100", gpu=True, available=80 * GIB, total=80 * GIB, bf16=True)
CPU = Place("CPU, 16 cores", gpu=False, available=64 * GIB, total=64 * GIB)
SEVEN = "Qwen/Qwen2.5-Coder-7B-Instruct"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """benchmarks/memory.py."""
    spec = importlib.util.spec_from_file_location("memory_benchmark", BENCHMARKS / "memory.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_estimate_is_right_for_published_runs_that_no_constant_was_chosen_on(benchmark: ModuleType) -> None:
    data = tomllib.loads((BENCHMARKS / "memory_points.toml").read_text())
    errors = []
    for point in data["points"]:
        told = data["sources"][point["source"]] | point
        if told.get("held_out"):
            errors.append(benchmark.estimated(told).total / benchmark.UNITS[told["unit"]] / told["published"] - 1)
    assert len(errors) == 15
    assert statistics.fmean(map(abs, errors)) <= 0.10
    assert max(map(abs, errors)) <= 0.20


def test_every_third_point_that_can_be_compared_is_held_out() -> None:
    data = tomllib.loads((BENCHMARKS / "memory_points.toml").read_text())
    for source in data["sources"]:
        compared = [item for item in data["points"] if item["source"] == source and "left_out" not in item]
        assert [item["n"] for item in compared if item.get("held_out")] == [item["n"] for item in compared[2::3]]
    assert {item["n"].rstrip("abcdef") for item in data["points"]} == {str(number) for number in range(1, 57)}


# What the model cards say.
@pytest.mark.parametrize(
    ("base", "billions"),
    [
        (SEVEN, 7.62),
        ("Qwen/Qwen2.5-Coder-14B-Instruct", 14.8),
        ("Qwen/Qwen2.5-Coder-0.5B-Instruct", 0.494),
        ("Qwen/Qwen3-Coder-Next", 79.7),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", 30.5),
        ("meta-llama/Llama-3.1-8B-Instruct", 8.03),
        ("mistralai/Devstral-Small-2507", 23.6),
        ("ByteDance-Seed/Seed-OSS-36B-Instruct", 36.2),
    ],
)
def test_a_base_that_was_never_downloaded_is_known_by_its_shape(base: str, billions: float) -> None:
    known = shape.of_base(base)
    assert known is not None
    assert known.parameters / 1e9 == pytest.approx(billions, rel=0.01)


# facts: PEFT 0.21 on Qwen3-Next's real shape at r 16, counted by PEFT itself.
def test_adapters_of_a_mixture_are_counted_as_peft_makes_them() -> None:
    known = shape.known()["Qwen/Qwen3-Coder-Next"]
    attention = ("q_proj", "k_proj", "v_proj", "o_proj", "in_proj_qkvz", "in_proj_ba", "out_proj")
    assert known.trainable(attention, 16) / 1e6 == pytest.approx(17.1, rel=0.01)
    assert known.trainable(("experts",), 16) / 1e9 == pytest.approx(2.21, rel=0.01)


def run(**changes: object) -> Profile:
    """A profile of Qwen2.5-Coder-7B with these [training] keys."""
    return Profile(name="x", model=Model(base=SEVEN), lora=Lora(r=16), training=Training(**changes))  # type: ignore[arg-type]


def audited(longest: int = 2048, rows: int = 500) -> Audited:
    """A dataset whose longest row has so many tokens, a tenth of its rows above half of that."""
    lengths = (Bin(longest // 2, rows * 9 // 10), Bin(longest, rows // 10))
    counted = Counted(
        rows=rows,
        tokens=rows * 300,
        loss_tokens=rows * 150,
        longest=longest,
        most_loss_tokens=longest // 2,
        lengths=lengths,
    )
    return Audited(
        dataset_hash="",
        base=SEVEN,
        tokenizer="",
        max_length=longest,
        splits={"train": counted, "validation": msgspec.structs.replace(counted, rows=20)},
        rows={"train": rows},
        left_out=(),
        cut=(),
        findings=(),
        packing=Packing(),
        longest=longest,
        vocabulary=152_064,
        hidden_size=3584,
        layers=28,
        seconds=0.0,
    )


def needs(profile: Profile, place: Place = GPU, longest: int = 2048) -> Estimate:
    """The estimate of a profile."""
    found = audited(longest)
    return needed(profile, inside(SEVEN, profile, found, None), found, place)


def test_a_run_is_estimated_for_a_base_that_is_not_here_and_without_the_engine() -> None:
    made = needs(run(per_device_train_batch_size=2, gradient_checkpointing=True))
    assert made.weights == pytest.approx(2 * 7.62e9, rel=0.01)
    assert made.total < 24 * GIB  # it is trained on 24 GB cards


def test_each_thing_a_person_can_change_takes_what_it_should() -> None:
    plain = needs(run(per_device_train_batch_size=4))
    assert needs(run(per_device_train_batch_size=4, gradient_checkpointing=True)).total < 0.7 * plain.total
    assert needs(run(per_device_train_batch_size=2)).activations == plain.activations // 2
    assert needs(run(per_device_train_batch_size=4), longest=1024).activations == plain.activations // 2
    four = msgspec.structs.replace(run(), model=Model(base=SEVEN, load_in_4bit=True))
    assert needs(four).weights < 0.4 * plain.weights
    eight = needs(run(optim="adamw_8bit"))
    assert eight.optimizer < 0.3 * needs(run()).optimizer
    assert needs(run(), CPU).weights == 2 * plain.weights  # fp32


def test_attention_that_writes_its_scores_grows_with_the_square_of_the_length() -> None:
    known = shape.known()[SEVEN]
    small, large = (
        estimate(known, "all-linear", 1, Batch(1, length), Holding(eager=True)).activations
        - estimate(known, "all-linear", 1, Batch(1, length), Holding()).activations
        for length in (1024, 4096)
    )
    assert large == 16 * small


def test_several_gpus_share_the_weights_only_when_they_are_sharded() -> None:
    profile = run()
    found = audited()
    known = inside(SEVEN, profile, found, None)
    alone = needed(profile, known, found, GPU)
    together = needed(profile, known, found, GPU, processes=4)
    sharded = needed(run(parallel="fsdp2"), known, found, GPU, processes=4)
    assert together.weights == alone.weights
    assert together.total > alone.total
    assert sharded.weights < 0.4 * alone.weights


@pytest.fixture
def known() -> Inside:
    return inside(SEVEN, run(), audited(4096), None)


@pytest.mark.parametrize(
    ("free", "takes"),
    [(48, ["batch"]), (22, ["batch", "rank", "length"]), (14, ["batch", "rank", "length", "quantisation"])],
)
def test_what_does_not_fit_is_made_to_fit_by_the_first_thing_that_is_enough(
    known: Inside, free: int, takes: list[str]
) -> None:
    profile = run(per_device_train_batch_size=8, gradient_accumulation_steps=2, max_length=4096)
    found = audited(4096)

    def total(other: Profile) -> int:
        return needed(other, known, found, GPU).total

    changes = fit.steps(profile, found, free * GIB, total, gpu=True)
    assert [change.what for change in changes] == takes
    assert changes[-1].fits
    made = with_settings(profile, fit.settings_of(changes))
    assert total(made) == changes[-1].needed <= free * GIB * fit.MARGIN
    assert made.training.per_device_train_batch_size * made.training.gradient_accumulation_steps == 16


def test_each_change_is_told_in_order_with_its_number_and_cost(known: Inside) -> None:
    profile = run(per_device_train_batch_size=8, max_length=4096)
    found = audited(4096)
    told = fit.alone(profile, found, 160 * GIB, lambda other: needed(other, known, found, GPU).total, gpu=True)
    assert [change.what for change in told] == ["batch", "rank", "length", "quantisation", "checkpointing"]
    length = next(change for change in told if change.what == "length")
    assert "50 rows are longer" in length.costs


def test_nothing_is_changed_where_it_fits_and_nothing_is_promised_where_nothing_helps(known: Inside) -> None:
    profile, found = run(per_device_train_batch_size=8), audited(4096)

    def total(other: Profile) -> int:
        return needed(other, known, found, GPU).total

    assert fit.steps(profile, found, 1000 * GIB, total, gpu=True) == ()
    assert not fit.steps(profile, found, 2 * GIB, total, gpu=True)[-1].fits
