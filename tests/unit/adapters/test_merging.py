"""What a merge writes is what the formulas say, whatever the ranks, scales and modules of the adapters."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dense_merges as dense
from adapter_folders import PREFIX, factors, write_adapter
from lora_tui.adapters.merging import rules
from lora_tui.adapters.merging.dense import Buffer, Delta, merged_delta, threshold
from lora_tui.adapters.merging.merge import Result, merge
from lora_tui.adapters.merging.sources import identity_of, opened
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.jobs.merging import Recipe, Source
from lora_tui.workspace.errors import BadInput

SHAPES = {"q_proj": (96, 64), "k_proj": (32, 64), "v_proj": (32, 64), "o_proj": (64, 96)}


def shapes(*last: str, layers: int = 2) -> dict[str, tuple[int, int]]:
    return {f"model.layers.{layer}.self_attn.{name}": SHAPES[name] for layer in range(layers) for name in last}


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Coder, reviewer, and one with rsLoRA: mixed ranks, alphas and modules."""
    every = factors(shapes("q_proj", "k_proj", "v_proj", "o_proj"), 16, seed=1)
    return [
        write_adapter(tmp_path / "coder", every, r=16, lora_alpha=32),
        write_adapter(tmp_path / "reviewer", factors(shapes("q_proj", "v_proj"), 8, seed=2), r=8, lora_alpha=16),
        write_adapter(
            tmp_path / "rs", factors(shapes("q_proj", "o_proj"), 4, seed=3), r=4, lora_alpha=8, use_rslora=True
        ),
    ]


def merged(folders: Sequence[Path], output: Path, **recipe: Any) -> Result:
    output.mkdir(parents=True)
    sources = [Source(folder.name, str(folder), folder.name) for folder in folders]
    with opened(sources) as found:
        return merge(found, Recipe(**recipe), output, lambda done, total: None)


def check_errors(result: Result, written: dense.Deltas, exact: dense.Deltas, tolerance: float = 1e-3) -> None:
    """The reported errors are those that are there."""
    for module in result.modules:
        found = dense.distance({"": written[module.name]}, {"": exact[module.name]})
        assert module.error == pytest.approx(found, abs=tolerance), module.name
    assert result.error == pytest.approx(dense.distance(written, exact), abs=tolerance)


@pytest.mark.parametrize(
    ("recipe", "weights"),
    [
        ({"strategy": "average"}, (1 / 3, 1 / 3, 1 / 3)),
        ({"strategy": "weighted", "weights": (3.0, 1.0, 1.0)}, (0.6, 0.2, 0.2)),
        ({"strategy": "weighted", "weights": (0.5, 0.3, -0.4), "normalise": False}, (0.5, 0.3, -0.4)),
        ({"strategy": "task-arithmetic"}, (1, 1, 1)),
        ({"strategy": "task-arithmetic", "weights": (1.0, 0.5, -1.0), "scaling": 0.4}, (0.4, 0.2, -0.4)),
        ({"strategy": "cat", "weights": (0.5, 0.3, -0.4)}, (0.5, 0.3, -0.4)),
        ({"strategy": "cat", "weights": (2.0, 1.0, 1.0), "normalise": True}, (0.5, 0.25, 0.25)),
    ],
)
@pytest.mark.parametrize("rank", [0, 28, 8])
def test_a_linear_merge_is_the_weighted_sum_of_what_the_adapters_do(
    three: list[Path], tmp_path: Path, recipe: dict[str, Any], weights: tuple[float, ...], rank: int
) -> None:
    if recipe["strategy"] == "cat":
        rank = 0
    result = merged(three, tmp_path / "out", **recipe, rank=rank)
    exact = dense.linear([dense.deltas(folder) for folder in three], weights)
    written = dense.deltas(tmp_path / "out")
    check_errors(result, written, exact)
    if recipe["strategy"] == "cat" or rank == 28:
        assert result.error < 1e-6
        assert dense.distance(written, exact) < 1e-5
    else:
        assert result.error > 0.05
        assert dense.distance(written, dense.truncated(exact, rank or 16)) < 1e-4


@pytest.mark.parametrize("t", [0, 0.25, 0.5, 1])
def test_slerp_follows_the_great_circle_of_each_module(three: list[Path], tmp_path: Path, t: float) -> None:
    merged(three[:2], tmp_path / "out", strategy="slerp", t=t, rank=24)
    exact = dense.slerp(dense.deltas(three[0]), dense.deltas(three[1]), t)
    assert dense.distance(dense.deltas(tmp_path / "out"), exact) < 1e-5


def test_slerp_of_parallel_adapters_is_a_straight_line(three: list[Path], tmp_path: Path) -> None:
    merged([three[0], three[0]], tmp_path / "out", strategy="slerp", t=0.3)
    assert dense.distance(dense.deltas(tmp_path / "out"), dense.deltas(three[0])) < 1e-5


def test_slerp_with_an_untrained_adapter_is_a_straight_line(three: list[Path], tmp_path: Path) -> None:
    tensors = factors(shapes("q_proj"), 8)
    blank = {key: tensor * ("lora_A" in key) for key, tensor in tensors.items()}
    write_adapter(tmp_path / "blank", blank)
    merged([three[0], tmp_path / "blank"], tmp_path / "out", strategy="slerp", t=0.5)
    exact = dense.linear([dense.deltas(three[0])], [0.5])
    assert dense.distance(dense.deltas(tmp_path / "out"), exact) < 1e-5


@pytest.mark.parametrize("weights", [(), (0.7, 0.2, 0.4), (1.0, -0.5, 0.3)])
@pytest.mark.parametrize("density", [0.2, 0.6, 1.0])
def test_ties_on_delta_is_the_papers(
    three: list[Path], tmp_path: Path, weights: tuple[float, ...], density: float
) -> None:
    recipe = {"strategy": "ties", "weights": weights, "density": density, "scaling": 0.8, "space": "delta"}
    result = merged(three, tmp_path / "out", **recipe, rank=64)
    exact = dense.ties([dense.deltas(folder) for folder in three], weights or (1, 1, 1), density, 0.8)
    written = dense.deltas(tmp_path / "out")
    check_errors(result, written, exact)
    assert dense.distance(written, exact) < 2e-3


def test_ties_on_delta_reports_what_a_small_rank_loses(three: list[Path], tmp_path: Path) -> None:
    result = merged(three, tmp_path / "out", strategy="ties", space="delta", rank=8)
    exact = dense.ties([dense.deltas(folder) for folder in three], (1, 1, 1), 0.2)
    written = dense.deltas(tmp_path / "out")
    check_errors(result, written, exact)
    assert result.error > 0.4
    assert result.error < 1.03 * dense.distance(dense.truncated(exact, 8), exact)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.7, 0.2, -0.4)])
def test_ties_in_core_space_is_ties_in_the_adapters_common_bases(
    three: list[Path], tmp_path: Path, weights: tuple[float, ...]
) -> None:
    result = merged(three, tmp_path / "out", strategy="ties", weights=weights, density=0.3, rank=28)
    exact = dense.ties_core(three, [dense.deltas(folder) for folder in three], weights, 0.3)
    written = dense.deltas(tmp_path / "out")
    check_errors(result, written, exact)
    assert dense.distance(written, exact) < 1e-4


def test_dare_on_delta_keeps_the_entries_that_its_seed_says(three: list[Path], tmp_path: Path) -> None:
    names = [folder.name for folder in three]
    adapters = [dense.deltas(folder) for folder in three]
    recipe = {"strategy": "dare", "density": 0.3, "seed": 5, "weights": (1.0, 0.5, -0.2), "space": "delta"}
    result = merged(three, tmp_path / "out", **recipe, rank=64)
    exact = dense.dare(adapters, (1.0, 0.5, -0.2), 0.3, 5, names)
    check_errors(result, dense.deltas(tmp_path / "out"), exact)
    assert dense.distance(dense.deltas(tmp_path / "out"), exact) < 2e-3


@pytest.mark.parametrize("space", ["core", "delta"])
def test_dare_is_right_on_average(three: list[Path], tmp_path: Path, space: str) -> None:
    total: dense.Deltas = {}
    for seed in range(40):
        merged(three, tmp_path / f"out{seed}", strategy="dare", density=0.5, seed=seed, space=space, rank=64)
        total = dense.linear([total, dense.deltas(tmp_path / f"out{seed}")], (1, 1 / 40))
    exact = dense.linear([dense.deltas(folder) for folder in three], (1, 1, 1))
    assert dense.distance(dense.deltas(tmp_path / "out0"), exact) > 0.5
    assert dense.distance(total, exact) < 0.2


def test_dare_that_keeps_everything_is_the_sum(three: list[Path], tmp_path: Path) -> None:
    merged(three, tmp_path / "out", strategy="dare", density=1.0, rank=28)
    exact = dense.linear([dense.deltas(folder) for folder in three], (1, 1, 1))
    assert dense.distance(dense.deltas(tmp_path / "out"), exact) < 1e-5


@pytest.mark.parametrize("strategy", ["ties", "dare"])
def test_blocks_of_rows_change_nothing(three: list[Path], strategy: Any) -> None:
    with opened([Source(folder.name, str(folder), folder.name) for folder in three]) as sources:
        shape = sources.modules[0]
        recipe = Recipe(strategy=strategy, density=0.3, space="delta")
        found = [merged_delta(sources, shape, recipe, Buffer([shape]), block=rows * 64).copy() for rows in (7, 96)]
    assert np.abs(found[0] - found[1]).max() < 1e-6
    assert ((found[0] == 0) == (found[1] == 0)).all()


@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(1, 60),
    n=st.integers(1, 60),
    r=st.integers(1, 5),
    density=st.floats(0.001, 1),
    seed=st.integers(0, 99),
    silent=st.floats(0, 1),
)
def test_a_threshold_keeps_exactly_the_largest(
    m: int, n: int, r: int, density: float, seed: int, silent: float
) -> None:
    random = np.random.default_rng(seed)
    b = random.standard_normal((m, r)).astype(np.float32) * (random.random((m, 1)) > silent).astype(np.float32)
    delta = Delta(b, random.standard_normal((r, n)).astype(np.float32))
    kept = rules.kept_entries(m * n, density)
    least = threshold(delta, kept, np.empty((m, n), np.float32), 7)
    whole = np.abs(np.concatenate(list(delta.blocks(7))))
    assert least == np.sort(whole, axis=None)[::-1][kept - 1]


def test_a_threshold_of_a_large_module_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    b = random.standard_normal((2000, 4)).astype(np.float32) * np.geomspace(1, 1e-3, 2000)[:, None].astype(np.float32)
    delta = Delta(b, random.standard_normal((4, 1500)).astype(np.float32))
    whole = np.abs(np.concatenate(list(delta.blocks(50))))
    for density in (1e-6, 0.01, 0.2, 0.9, 1):
        kept = rules.kept_entries(whole.size, density)
        least = threshold(delta, kept, np.empty((2000, 1500), np.float32), 50)
        assert least == np.partition(whole.ravel(), whole.size - kept)[whole.size - kept]


@pytest.mark.parametrize("strategy", ["average", "cat", "weighted"])
@pytest.mark.parametrize("copies", [2, 3, 5])
def test_copies_of_an_adapter_give_it_back(three: list[Path], tmp_path: Path, strategy: str, copies: int) -> None:
    weights = () if strategy == "average" else (1 / copies,) * copies
    merged([three[0]] * copies, tmp_path / "out", strategy=strategy, weights=weights)
    assert dense.distance(dense.deltas(tmp_path / "out"), dense.deltas(three[0])) < 1e-5


@pytest.mark.parametrize("space", ["core", "delta"])
def test_ties_of_copies_is_what_one_is_after_its_trim(three: list[Path], tmp_path: Path, space: str) -> None:
    merged([three[0]] * 3, tmp_path / "out", strategy="ties", density=1.0, space=space, rank=16)
    assert dense.distance(dense.deltas(tmp_path / "out"), dense.deltas(three[0])) < 1e-4


@pytest.mark.parametrize(
    "recipe",
    [
        {"strategy": "average"},
        {"strategy": "cat"},
        {"strategy": "slerp"},
        {"strategy": "ties"},
        {"strategy": "ties", "space": "delta", "rank": 64},
        {"strategy": "dare", "space": "delta", "rank": 64},
    ],
)
def test_other_factors_of_the_same_adapter_change_nothing(
    three: list[Path], tmp_path: Path, recipe: dict[str, Any]
) -> None:
    turned = {}
    for key, tensor in factors(shapes("q_proj", "v_proj"), 8, seed=2).items():
        turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
        turned[key] = (turn.T @ tensor.double() if "lora_A" in key else tensor.double() @ turn).float()
    other = write_adapter(tmp_path / "other" / "reviewer", turned, r=8, lora_alpha=16)
    assert dense.distance(dense.deltas(other), dense.deltas(three[1])) < 1e-6
    for index, second in enumerate((three[1], other)):
        merged([three[0], second], tmp_path / f"out{index}", **recipe)
    found = [dense.deltas(tmp_path / f"out{index}") for index in range(2)]
    assert dense.distance(found[1], found[0]) < 1e-3


@pytest.mark.parametrize(
    "recipe",
    [
        {"strategy": "average"},
        {"strategy": "weighted", "weights": (3.0, 2.0, 1.0)},
        {"strategy": "cat"},
        {"strategy": "ties", "weights": (3.0, -2.0, 1.0)},
        {"strategy": "ties", "space": "delta", "rank": 64},
        {"strategy": "dare", "density": 0.3},
        {"strategy": "dare", "density": 0.3, "space": "delta", "rank": 64},
    ],
)
def test_the_order_of_the_adapters_does_not_matter(three: list[Path], tmp_path: Path, recipe: dict[str, Any]) -> None:
    merged(three, tmp_path / "out", **recipe)
    merged(three[::-1], tmp_path / "back", **recipe | {"weights": recipe.get("weights", ())[::-1]})
    assert dense.distance(dense.deltas(tmp_path / "back"), dense.deltas(tmp_path / "out")) < 1e-3


def test_slerp_backwards_is_the_same_way_back(three: list[Path], tmp_path: Path) -> None:
    merged(three[:2], tmp_path / "out", strategy="slerp", t=0.3)
    merged(three[1::-1], tmp_path / "back", strategy="slerp", t=0.7)
    assert dense.distance(dense.deltas(tmp_path / "back"), dense.deltas(tmp_path / "out")) < 1e-5


def test_every_scale_is_folded_into_the_factors(three: list[Path], tmp_path: Path) -> None:
    merged(three, tmp_path / "out", strategy="cat")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (28, 28, False)
    assert config["rank_pattern"] == config["alpha_pattern"]
    assert config["rank_pattern"]["model.layers.0.self_attn.k_proj"] == 16
    assert "model.layers.0.self_attn.q_proj" not in config["rank_pattern"]
    assert config["target_modules"] == ["k_proj", "o_proj", "q_proj", "v_proj"]
    with PeftFolder(tmp_path / "out") as folder:
        assert {module.scale for module in folder.modules.values()} == {1.0}
        assert folder.obstacles() == []


def test_an_adapter_of_some_layers_only_does_not_claim_the_others(three: list[Path], tmp_path: Path) -> None:
    part = {key: value for key, value in factors(shapes("k_proj"), 4).items() if ".layers.1." in key}
    write_adapter(tmp_path / "part", part, r=4, layers_to_transform=[1])
    merged([three[1], tmp_path / "part"], tmp_path / "out", strategy="average")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert "model.layers.1.self_attn.k_proj" in config["target_modules"]
    assert "model.layers.0.self_attn.k_proj" not in config["target_modules"]


def test_a_module_that_one_adapter_lacks_counts_as_zero_or_is_averaged_among_those_that_have_it(
    three: list[Path], tmp_path: Path
) -> None:
    module = "model.layers.0.self_attn.k_proj"
    merged(three, tmp_path / "zero", strategy="average")
    merged(three, tmp_path / "share", strategy="average", renormalise=True)
    coder = {module: dense.deltas(three[0])[module]}
    for folder, share in (("zero", 1 / 3), ("share", 1.0)):
        found = {module: dense.deltas(tmp_path / folder)[module]}
        assert dense.distance(found, dense.linear([coder], [share])) < 1e-5


def test_an_adapter_of_weight_zero_leaves_no_trace(three: list[Path], tmp_path: Path) -> None:
    for strategy in ("cat", "ties", "task-arithmetic"):
        merged(three, tmp_path / strategy, strategy=strategy, weights=(0.0, 1.0, 0.5))
        merged(three[1:], tmp_path / f"{strategy}-without", strategy=strategy, weights=(1.0, 0.5))
        found, without = dense.deltas(tmp_path / strategy), dense.deltas(tmp_path / f"{strategy}-without")
        assert found.keys() == without.keys()
        assert dense.distance(found, without) < 1e-6


def test_an_untrained_adapter_merges_into_nothing_at_all(tmp_path: Path) -> None:
    tensors = {key: value * ("lora_A" in key) for key, value in factors(shapes("q_proj"), 8).items()}
    folders = [write_adapter(tmp_path / name, tensors) for name in ("one", "two")]
    for strategy in ("average", "ties", "dare", "cat", "slerp"):
        result = merged(folders, tmp_path / strategy, strategy=strategy)
        assert result.error == 0
        assert all(not matrix.any() for matrix in dense.deltas(tmp_path / strategy).values())
    result = merged(folders, tmp_path / "dense", strategy="ties", space="delta")
    assert result.error == 0


def test_a_small_adapter_beside_a_large_one_is_not_lost(tmp_path: Path) -> None:
    small = {
        key: value * (1e-5 if "lora_B" in key else 1) for key, value in factors(shapes("q_proj"), 4, seed=1).items()
    }
    write_adapter(tmp_path / "large", factors(shapes("q_proj"), 4, seed=2))
    write_adapter(tmp_path / "small", small)
    merged([tmp_path / "large", tmp_path / "small"], tmp_path / "out", strategy="task-arithmetic", rank=8)
    rest = dense.linear([dense.deltas(tmp_path / "out"), dense.deltas(tmp_path / "large")], (1, -1))
    assert dense.distance(rest, dense.deltas(tmp_path / "small")) < 0.05


@pytest.mark.parametrize(("dtype", "tolerance"), [("BF16", 4e-3), ("F16", 5e-4), ("F32", 1e-6)])
def test_the_type_that_is_asked_for_is_stored(three: list[Path], tmp_path: Path, dtype: Any, tolerance: float) -> None:
    result = merged(three, tmp_path / "out", strategy="cat", dtype=dtype)
    assert result.dtype == dtype
    exact = dense.linear([dense.deltas(folder) for folder in three], (1, 1, 1))
    assert dense.distance(dense.deltas(tmp_path / "out"), exact) < tolerance
    with PeftFolder(tmp_path / "out") as folder:
        assert folder.dtype == dtype


def test_the_adapters_type_is_kept(tmp_path: Path) -> None:
    folders = [
        write_adapter(tmp_path / f"{seed}", factors(shapes("q_proj"), 4, seed=seed, dtype=torch.bfloat16))
        for seed in range(2)
    ]
    assert merged(folders, tmp_path / "out", strategy="average").dtype == "BF16"


def test_what_f16_cannot_hold_is_refused(three: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="F16 cannot hold"):
        merged(three, tmp_path / "out", strategy="cat", weights=(1e7, 1.0, 1.0), dtype="F16")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "lora_only"}, "bias"),
        ({"lora_bias": True}, "lora_bias"),
        ({"init_lora_weights": "pissa_niter_16"}, "pissa"),
        ({"init_lora_weights": "olora"}, "olora"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"base_model_name_or_path": "lab/other"}, "different bases"),
        ({"revision": "abc"}, "different revisions"),
    ],
)
def test_what_is_more_than_lora_or_of_another_base_is_refused_by_name(
    tmp_path: Path, config: dict[str, Any], word: str
) -> None:
    tensors = factors(shapes("q_proj"), 4)
    first = write_adapter(tmp_path / "first", tensors, revision="main")
    second = write_adapter(tmp_path / "strange", tensors, **{"revision": "main"} | config)
    with pytest.raises(BadInput, match=word) as caught:
        merged([first, second], tmp_path / "out", strategy="average")
    assert "strange" in str(caught.value)


def test_other_shapes_no_modules_and_no_numbers_are_refused_by_name(three: list[Path], tmp_path: Path) -> None:
    wide = write_adapter(tmp_path / "wide", factors({"model.layers.0.self_attn.q_proj": (96, 128)}, 4))
    with pytest.raises(BadInput, match=r"q_proj is 96 × 64 in coder and 96 × 128 in wide"):
        merged([three[0], wide], tmp_path / "out0", strategy="average")
    empty = write_adapter(tmp_path / "empty", {})
    with pytest.raises(BadInput, match="empty cannot be merged"):
        merged([three[0], empty], tmp_path / "out1", strategy="average")
    tensors = factors(shapes("q_proj"), 4)
    for number, strategy in enumerate(("average", "cat", "ties")):
        tensors[f"{PREFIX}model.layers.1.self_attn.q_proj.lora_B.weight"][3, 2] = math.nan
        broken = write_adapter(tmp_path / f"broken{number}", tensors)
        with pytest.raises(BadInput, match=r"layers.1.self_attn.q_proj.lora_B.weight holds a value"):
            merged([three[0], broken], tmp_path / f"nan{number}", strategy=strategy)
        assert list((tmp_path / f"nan{number}").iterdir()) == []
    with pytest.raises(BadInput, match="holds a value"):
        merged([three[0], broken], tmp_path / "nan", strategy="ties", space="delta")


@pytest.mark.parametrize(
    ("recipe", "word"),
    [
        ({"strategy": "slerp"}, "exactly two"),
        ({"strategy": "weighted"}, "which weights"),
        ({"strategy": "weighted", "weights": (1.0, 2.0)}, "2 weights for 3"),
        ({"strategy": "weighted", "weights": (1.0, -0.5, -0.5)}, "sum to 0"),
        ({"strategy": "weighted", "weights": (1.0, math.nan, 1.0)}, "no number"),
        ({"strategy": "task-arithmetic", "weights": (0.0, 0.0, 0.0)}, "every weight is 0"),
        ({"strategy": "task-arithmetic", "scaling": 0.0}, "lambda"),
        ({"strategy": "average", "weights": (1.0, 1.0, 1.0)}, "takes no weights"),
        ({"strategy": "ties", "density": 0.0}, "keep nothing"),
        ({"strategy": "dare", "density": 1.5}, "density"),
        ({"strategy": "average", "density": 0.5}, "no density"),
        ({"strategy": "cat", "rank": 4}, "every rank"),
        ({"strategy": "average", "space": "delta"}, "every space"),
        ({"strategy": "ties", "renormalise": True}, "renormalised"),
        ({"strategy": "ties", "normalise": True}, "not normalised"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_with_the_reason(
    three: list[Path], tmp_path: Path, recipe: dict[str, Any], word: str
) -> None:
    with pytest.raises(BadInput, match=word):
        merged(three, tmp_path / "out", **recipe)


def test_one_adapter_is_no_merge(three: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="two adapters"):
        merged(three[:1], tmp_path / "out", strategy="average")


def test_a_folder_is_known_by_its_weights_wherever_it_lies(three: list[Path], tmp_path: Path) -> None:
    three[0].rename(tmp_path / "elsewhere")
    before = identity_of(tmp_path / "elsewhere")
    assert identity_of(three[1]) != before
    (tmp_path / "elsewhere").rename(tmp_path / "again")
    assert identity_of(tmp_path / "again") == before
