"""`adapters merge` on really trained adapters, loaded again by PEFT; killed, stopped, refused."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import dense_merges as dense
import killed
from adapter_folders import factors, write_adapter
from lora_tui.adapters import registry
from lora_tui.adapters.checksums import CHECKSUMS
from lora_tui.adapters.merging import process, start
from lora_tui.adapters.merging.plan import plan
from lora_tui.adapters.merging.sources import opened
from lora_tui.cli.main import run as command_line
from lora_tui.jobs import supervisor
from lora_tui.jobs.merging import Recipe
from lora_tui.jobs.view import RunView
from lora_tui.workspace.layout import Workspace
from task_adapters import TASKS, loaded_deltas, make_adapter, make_base, peft_deltas

RECIPES: list[tuple[dict[str, Any], tuple[float, ...]]] = [
    ({"strategy": "average"}, (0.2,) * 5),
    ({"strategy": "weighted", "weights": (3.0, 1.0, 1.0, 2.0, 1.0)}, (0.375, 0.125, 0.125, 0.25, 0.125)),
    (
        {"strategy": "task-arithmetic", "weights": (1.0, 0.5, -0.5, 1.0, 1.0), "scaling": 0.5},
        (0.5, 0.25, -0.25, 0.5, 0.5),
    ),
    ({"strategy": "cat"}, (1.0,) * 5),
]


class Trained:
    """The base and the folders of the five task adapters."""

    def __init__(self, folder: Path) -> None:
        self.base = make_base(folder / "base")
        self.folders = [make_adapter(task, self.base, folder / task) for task in TASKS]
        self.deltas = [dense.deltas(one) for one in self.folders]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"))


def merge(workspace: Workspace, folders: list[Path], **recipe: Any) -> tuple[Path, process.Report]:
    """Merge in this process, through the run's own code and the registry."""
    sources = start.sources_of(workspace, [str(folder) for folder in folders])
    run = start.create(workspace, sources, Recipe(**recipe), name="all")
    process.run(run.folder)
    report = process.load_report(run)
    return Path(report.folder), report


def check(report: process.Report, written: dense.Deltas, exact: dense.Deltas) -> None:
    """Written and exact differ by what was reported."""
    for module in report.result.modules:
        found = dense.distance({"": written[module.name]}, {"": exact[module.name]})
        assert module.error == pytest.approx(found, abs=1e-3), module.name
    assert report.result.error == pytest.approx(dense.distance(written, exact), abs=1e-3)


@pytest.mark.engine
@pytest.mark.parametrize(("recipe", "weights"), RECIPES, ids=[recipe["strategy"] for recipe, _ in RECIPES])
@pytest.mark.parametrize("rank", [0, 6])
def test_five_trained_adapters_merge_into_the_sum_that_peft_loads(
    trained: Trained, workspace: Workspace, recipe: dict[str, Any], weights: tuple[float, ...], rank: int
) -> None:
    rank = 0 if recipe["strategy"] == "cat" else rank
    folder, report = merge(workspace, trained.folders, **recipe, rank=rank)
    exact = dense.linear(trained.deltas, weights)
    check(report, loaded_deltas(trained.base, folder), exact)
    assert report.result.error < (1e-6 if recipe["strategy"] == "cat" else 1)


@pytest.mark.engine
def test_ties_and_dare_on_trained_adapters_are_the_papers(trained: Trained, workspace: Workspace) -> None:
    weights = (1.0, 0.5, -0.5, 1.0, 1.0)
    folder, report = merge(workspace, trained.folders, strategy="ties", weights=weights, space="delta")
    check(report, loaded_deltas(trained.base, folder), dense.ties(trained.deltas, weights, 0.2))
    folder, report = merge(workspace, trained.folders, strategy="ties", weights=weights, density=0.3)
    exact = dense.ties_core(trained.folders, trained.deltas, weights, 0.3)
    check(report, loaded_deltas(trained.base, folder), exact)
    folder, report = merge(workspace, trained.folders, strategy="dare", seed=3, space="delta")
    identities = [source.identity for source in start.sources_of(workspace, [str(one) for one in trained.folders])]
    check(report, loaded_deltas(trained.base, folder), dense.dare(trained.deltas, (1.0,) * 5, 0.5, 3, identities))


@pytest.mark.engine
def test_slerp_of_trained_adapters(trained: Trained, workspace: Workspace) -> None:
    folder, report = merge(workspace, trained.folders[:2], strategy="slerp", t=0.3)
    check(report, loaded_deltas(trained.base, folder), dense.slerp(*trained.deltas[:2], 0.3))


@pytest.mark.engine
def test_the_plan_says_before_what_the_merge_then_loses(trained: Trained, workspace: Workspace) -> None:
    sources = start.sources_of(workspace, [str(one) for one in trained.folders])
    for recipe in (Recipe(strategy="average"), Recipe(strategy="ties"), Recipe(strategy="average", rank=40)):
        with opened(sources) as found:
            planned = plan(found, recipe, lambda done, total: None)
        folder, report = merge(workspace, trained.folders, strategy=recipe.strategy, rank=recipe.rank)
        assert planned.error == pytest.approx(report.result.error, abs=1e-6)
        assert planned.bytes == pytest.approx((folder / "adapter_model.safetensors").stat().st_size, rel=0.1)
        planned_errors = {module.name: module.error for module in planned.modules}
        assert planned_errors == pytest.approx({one.name: one.error for one in report.result.modules}, abs=1e-6)
    assert planned.max_lora_rank == 64
    with opened(sources) as found:
        average = plan(found, Recipe(strategy="average"), lambda done, total: None)
    for loss, rank in average.rank_of_loss.items():
        share = float(loss.split()[0]) / 100
        assert merge(workspace, trained.folders, strategy="average", rank=rank)[1].result.error <= share
        assert merge(workspace, trained.folders, strategy="average", rank=rank - 1)[1].result.error > share
    one, two = trained.deltas[:2]
    name = next(iter(one.keys() & two.keys()))
    cosine = float((one[name] * two[name]).sum() / one[name].norm() / two[name].norm())
    index = next(at for at, pair in enumerate(average.pairs) if {pair.one, pair.two} == set(labels(trained, 0, 1)))
    found_cosine = next(module.cosines[index] for module in average.modules if module.name == name)
    assert found_cosine == pytest.approx(cosine, abs=1e-4)


def labels(trained: Trained, *which: int) -> list[str]:
    return [str(trained.folders[index]) for index in which]


@pytest.mark.engine
def test_pefts_own_linear_merge_is_another_matrix_altogether(trained: Trained) -> None:
    """PEFT combines A's and B's separately: two copies at one half give twice the adapter, two adapters cross terms."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    coder, security = trained.folders[0], trained.folders[2]  # of the same r, as it demands
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(trained.base), coder, adapter_name="coder")
    model.load_adapter(coder, adapter_name="again")
    model.load_adapter(security, adapter_name="security")
    model.add_weighted_adapter(["coder", "again"], [0.5, 0.5], "twice", combination_type="linear")
    model.add_weighted_adapter(["coder", "security"], [0.5, 0.5], "mixed", combination_type="linear")
    coder_delta = trained.deltas[0]
    twice = {name: matrix for name, matrix in peft_deltas(model, "twice").items() if name in coder_delta}
    assert dense.distance(twice, dense.linear([coder_delta], [2])) < 1e-4
    exact = dense.linear([trained.deltas[0], trained.deltas[2]], (0.5, 0.5))
    both = trained.deltas[0].keys() & trained.deltas[2].keys()
    wrong = peft_deltas(model, "mixed")
    assert dense.distance({name: wrong[name] for name in both}, {name: exact[name] for name in both}) > 0.5


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    shapes = {f"model.layers.{layer}.self_attn.q_proj": (24, 16) for layer in range(3)}
    return [write_adapter(tmp_path / f"a{seed}", factors(shapes, 4, seed=seed), r=4) for seed in range(2)]


def lora_tui(workspace: Workspace, *words: object) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_merge_is_a_new_version_with_its_parents_and_nothing_points_to_it(
    workspace: Workspace, pair: list[Path]
) -> None:
    code, out, err = lora_tui(
        workspace, "adapters", "merge", *pair, "--strategy", "weighted", "--weights", "3,1", "--name", "mix", "--json"
    )
    assert code == 0, err
    told = json.loads(out)
    assert (told["label"], told["strategy"], told["r"]) == ("mix@1.0.0", "weighted", 4)
    assert [source["weight"] for source in told["sources"]] == [0.75, 0.25]
    made = registry.find(workspace, "mix")
    assert made.metadata.parents == tuple(map(str, pair))
    assert made.metadata.errors == {module["name"]: module["error"] for module in told["modules"]}
    assert made.metadata.error == told["error"] > 0
    assert registry.damaged_files(made) == []
    assert not (workspace.adapters / "aliases.json").exists()
    exact = dense.linear([dense.deltas(one) for one in pair], (0.75, 0.25))
    assert dense.distance(dense.deltas(made.folder), exact) == pytest.approx(told["error"], abs=1e-3)
    code, out, err = lora_tui(
        workspace, "adapters", "merge", "mix", pair[1], "--strategy", "cat", "--weights", "0.5", "0.5", "--name", "mix"
    )
    assert code == 0, err
    assert "total truncation error 0.0000 at r 8" in out
    assert registry.find(workspace, "mix").label == "mix@1.1.0"
    assert registry.find(workspace, "mix").metadata.parents == ("mix@1.0.0", str(pair[1]))


def test_a_merge_into_a_folder_leaves_the_registry_alone(
    workspace: Workspace, pair: list[Path], tmp_path: Path
) -> None:
    words = ("adapters", "merge", *pair, "--strategy", "slerp", "--dtype", "bf16", "--output", tmp_path / "out")
    code, out, err = lora_tui(workspace, *words)
    assert code == 0, err
    assert "model.layers.2.self_attn.q_proj" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "merge.json",
    ]
    assert registry.adapters(workspace) == []
    code, _, err = lora_tui(workspace, *words)
    assert code == 2
    assert "there is something already" in err


def test_a_plan_writes_nothing(workspace: Workspace, pair: list[Path]) -> None:
    code, out, err = lora_tui(workspace, "adapters", "merge", *pair, "--strategy", "average", "--plan", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["r"] == 4
    assert told["ranks_summed"] == told["lossless_rank"] == 8
    assert len(told["pairs"][0]["layers"]) == 3
    code, out, err = lora_tui(workspace, "adapters", "merge", *pair, "--strategy", "ties", "--space", "delta", "--plan")
    assert code == 0, err
    assert "tried on 1 small modules" in out
    assert "A linear strategy loses less" in out
    assert list(workspace.runs.iterdir()) == []


def test_what_cannot_be_merged_starts_no_run(workspace: Workspace, pair: list[Path], tmp_path: Path) -> None:
    dora = write_adapter(tmp_path / "dora", factors({"model.layers.0.self_attn.q_proj": (24, 16)}, 4), use_dora=True)
    for words, said in (
        ((pair[0], dora, "--strategy", "average", "--name", "x"), "DoRA"),
        ((*pair, pair[0], "--strategy", "slerp", "--name", "x"), "exactly two"),
        ((*pair, "--strategy", "weighted", "--weights", "1", "--name", "x"), "1 weights for 2"),
        ((*pair, "--strategy", "weighted", "--weights", "1,nan", "--name", "x"), "no number"),
        ((*pair, "--strategy", "ties", "--density", "0", "--name", "x"), "keep nothing"),
        ((*pair, "--strategy", "average"), "what is the merged adapter to be called"),
        ((pair[0], "nobody", "--strategy", "average", "--name", "x"), "no adapter 'nobody'"),
        ((*pair, "--strategy", "average", "--name", "../x"), "no name for an adapter"),
    ):
        result = run_here(workspace, "adapters", "merge", *words)
        assert result[0] == 2, said
        assert said in result[1]
    assert list(workspace.runs.iterdir()) == []


def test_a_damaged_version_is_not_merged(workspace: Workspace, pair: list[Path]) -> None:
    assert run_here(workspace, "adapters", "merge", *pair, "--strategy", "average", "--name", "mix")[0] == 0
    made = registry.find(workspace, "mix")
    weights = made.folder / "adapter_model.safetensors"
    weights.chmod(0o644)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    code, said = run_here(workspace, "adapters", "merge", "mix", pair[0], "--strategy", "average", "--name", "again")
    assert code == 2
    assert "mix@1.0.0 is damaged: adapter_model.safetensors" in said


def run_here(workspace: Workspace, *words: object) -> tuple[int, str]:
    """The command line in this process: exit code and what it said on stderr."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = command_line(["--workspace", str(workspace.root), *map(str, words)])
    return code, said.getvalue()


def whole(workspace: Workspace) -> None:
    """Whatever the registry lists is complete."""
    for item in registry.adapters(workspace):
        assert registry.damaged_files(item) == []
        assert (item.folder / CHECKSUMS).is_file()


def test_killed_at_any_step_a_merge_leaves_a_whole_version_or_none_and_can_be_done_again(
    workspace: Workspace, pair: list[Path]
) -> None:
    sources = start.sources_of(workspace, list(map(str, pair)))
    run = start.create(workspace, sources, Recipe(strategy="average"), name="mix")
    steps = []
    for step in killed.at_every_step(workspace.root, lambda: process.run(run.folder)):
        steps.append(step)
        whole(workspace)
        process.run(run.folder)
        assert [item.label for item in registry.adapters(workspace)] == ["mix@1.0.0"], step
        assert not (run.folder / "merged").exists()
        whole(workspace)
    assert len(steps) > 10


def test_killed_at_any_step_a_merge_into_a_folder_leaves_a_whole_folder_or_none(
    workspace: Workspace, pair: list[Path]
) -> None:
    output = workspace.root / "made" / "out"
    sources = start.sources_of(workspace, list(map(str, pair)))
    run = start.create(workspace, sources, Recipe(strategy="cat"), output=str(output))
    for step in killed.at_every_step(workspace.root, lambda: process.run(run.folder)):
        if output.exists():
            assert len(list(output.iterdir())) == 3, step
        process.run(run.folder)
        assert [path.name for path in output.parent.iterdir()] == ["out"], step


@pytest.fixture
def large(tmp_path: Path) -> list[Path]:
    shapes = {f"model.layers.{layer}.mlp.up_proj": (2048, 2048) for layer in range(40)}
    return [write_adapter(tmp_path / f"a{seed}", factors(shapes, 8, seed=seed), r=8) for seed in range(2)]


def test_ctrl_c_stops_a_merge_and_leaves_nothing(workspace: Workspace, large: list[Path]) -> None:
    words = ("adapters", "merge", *large, "--strategy", "ties", "--space", "delta", "--name", "mix")
    command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), *map(str, words)]
    asked = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not any("progress" in path.read_text() for path in workspace.runs.glob("*/journal.jsonl")):
        assert time.monotonic() < end
        assert asked.poll() is None
        time.sleep(0.05)
    os.kill(asked.pid, signal.SIGINT)
    assert asked.wait(60) == 130
    (run,) = supervisor.runs(workspace)
    assert RunView.of(run).state == "stopped"
    assert not (run.folder / "merged").exists()
    assert registry.adapters(workspace) == []
