"""Where to train: every way with its figures, and how each figure was reckoned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import run_stories
import together_runs
from fakes import runpod as runpod_fake
from fakes.cloud import KEY
from fakes.runpod import runpod
from fakes.vast import vast
from lora_tui.backends import engines
from lora_tui.backends.compare import here, words
from lora_tui.backends.compare.figure import Figure
from lora_tui.backends.compare.way import Comparison, Way
from lora_tui.backends.compare.ways import compare
from lora_tui.backends.engines import Engine
from lora_tui.backends.hardware import Machine
from lora_tui.backends.together import pricing
from lora_tui.cli import train_elsewhere
from lora_tui.cli.main import run
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal
from lora_tui.jobs.job import Box
from lora_tui.jobs.job import Together as TogetherJob
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile
from lora_tui.workspace.profiles.settings import with_settings

GIB = 1024**3
SEED_ROWS, SEED_BYTES = 5_970, 8_900_000


@pytest.fixture(autouse=True)
def _this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen cores, no GPU, no keys."""
    host = Machine(cores=16, ram_total=64 * GIB, ram_available=12 * GIB, disk_free=900 * GIB, gpus=())
    monkeypatch.setattr(here, "machine", lambda folder: host)
    for name in ("TOGETHER_API_KEY", "RUNPOD_API_KEY", "VAST_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def seed(workspace: Workspace) -> Dataset:
    """5,970 examples in 8.9 MB that no tokenizer has read."""
    small = run_stories.write_dataset(workspace)
    manifest = msgspec.structs.replace(small.manifest, rows={"train": SEED_ROWS})
    (small.folder / "manifest.toml").write_text(toml.dump(manifest))
    path = small.folder / "train.jsonl"
    each = SEED_BYTES // SEED_ROWS
    path.write_bytes((b"x" * (each - 1) + b"\n") * SEED_ROWS + b"x" * (SEED_BYTES - each * SEED_ROWS))
    return msgspec.structs.replace(small, manifest=manifest)


@pytest.fixture
def coder(workspace: Workspace) -> Profile:
    """Three epochs on Qwen2.5-Coder-7B, packed."""
    found = load_profile(workspace, "gerbil", backend="together")
    assert (found.training.num_train_epochs, found.model.base) == (3, "Qwen/Qwen2.5-Coder-7B-Instruct")
    return found


@pytest.fixture
def counted(workspace: Workspace) -> Dataset:
    """rust@1, counted with the demo's base: 25,172 tokens, 12,034 of which carry loss, seen sixteen times."""
    run_stories.write_profile(workspace)
    run_stories.write_base(workspace)
    dataset = run_stories.write_dataset(workspace)
    run_stories.write_audit(workspace)
    return dataset


def way(found: Comparison, name: str) -> Way:
    return next(item for item in found.ways if item.name == name)


def both(figure: Figure) -> tuple[float, float]:
    assert figure.low is not None
    assert figure.high is not None
    return figure.low, figure.high


def test_the_seed_case_costs_two_to_five_dollars_at_together_and_about_one_rented(
    workspace: Workspace, seed: Dataset, coder: Profile
) -> None:
    found = compare(workspace, {"local": coder}, seed)
    low, high = both(way(found, "together").cost)
    tokens = SEED_BYTES / 3.6
    assert low == pytest.approx(tokens * 0.75 * 3 / 1e6 * 0.48)
    assert high == pytest.approx(tokens * 1.25 * 3 / 1e6 * 0.48)
    assert 2 < low < high < 5
    rented = way(found, "runpod")
    low, high = both(rented.cost)
    assert 0.3 < low < 1 < high < 1.3
    assert rented.gpu == "RTX 4090"
    a100 = next(kind for kind in rented.kinds if kind.gpu == "A100 80GB")
    assert a100.fits
    assert 1 < a100.cost.middle < 2


def test_rows_that_are_not_packed_cost_up_to_max_length_at_together_and_it_says_what_packing_saves(
    workspace: Workspace, seed: Dataset, coder: Profile
) -> None:
    unpacked = with_settings(coder, ["training.packing=false", "training.max_length=2048"])
    found = way(compare(workspace, {"local": unpacked}, seed), "together")
    assert both(found.cost)[1] == pytest.approx(3 * SEED_ROWS * 2048 / 1e6 * 0.48, rel=1e-3)
    assert "2.67 to 4.45 USD" in found.notes[0]


def test_the_arithmetic_of_the_seed_case_is_shown(workspace: Workspace, seed: Dataset, coder: Profile) -> None:
    found = compare(workspace, {"local": coder}, seed)
    said = "\n".join(way(found, "together").cost.steps)
    assert "8.9 MB / 3.6 bytes a token ± 25%" in said
    assert "3 epochs" in said
    assert "0.48 USD a million" in said
    assert "unverified" in said
    said = "\n".join(way(found, "runpod").cost.steps)
    for piece in ("MFU", "6 × 7.62B weights", "0.34 USD/h", "setting up: 0.15 to 0.35 h", "60 GB disk"):
        assert piece in said


def test_every_figure_says_where_it_is_from_and_an_unknown_one_what_would_make_it_known(
    workspace: Workspace, seed: Dataset, coder: Profile
) -> None:
    found = compare(workspace, {"local": coder}, seed)
    assert [item.name for item in found.ways] == ["local", "together", "runpod", "vast"]
    for item in found.ways:
        for figure in (item.seconds, item.cost, item.serving, item.monthly):
            if figure.known:
                assert figure.source not in ("", "unknown")
                assert figure.steps
            else:
                assert figure.why
        assert item.data
        assert item.latency
        assert item.latency_source
    assert way(found, "local").cost.why.startswith("[cost] in config.toml")


def test_what_does_not_fit_says_how_much_is_missing(workspace: Workspace, seed: Dataset, coder: Profile) -> None:
    found = compare(workspace, {"local": coder}, seed)
    local = way(found, "local")
    assert local.fits is False
    assert "of 12 GiB" in local.why
    large = msgspec.structs.replace(coder, model=msgspec.structs.replace(coder.model, base="Qwen/Qwen2.5-32B-Instruct"))
    on = {kind.gpu: kind.fits for kind in way(compare(workspace, {"local": large}, seed), "runpod").kinds}
    assert on == {"RTX 4090": False, "A100 80GB": True, "H100 PCIe": True, "H100": True}


def test_what_fits_nowhere_names_the_largest_gpu_there_is_and_no_price(workspace: Workspace, seed: Dataset) -> None:
    large = load_profile(workspace, "build-rust", backend="rented")
    found = way(compare(workspace, {"local": large}, seed), "runpod")
    assert (found.fits, found.gpu) == (False, "A100 80GB")
    assert words.rows([found], 80)[0][3:5] == ("–", "–")
    assert "training    – (it does not fit)" in "\n".join(f"{item.name:12}{item.text}" for item in _details(found))


def _details(found: Way) -> list[Any]:
    return list(words.details(found, explain=False))


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("memory_gb = 80", "memory_gb = 0", r"memory_gb: expected `float` > 0.*:\d+"),
        ("mfu = [0.25, 0.45]", "mfu = [0, 0]", r"mfu.*expected `float` > 0"),
        ("mfu = [0.25, 0.45]", "mfu = [0.45, 0.25]", r"formula\.mfu: 0\.45 to 0\.25 is no range.*:\d+"),
        ("price = [0.34, 0.34]", "price = [0.9, 0.1]", r"rental\[0\]\.price: 0\.9 to 0\.1 is no range"),
        ("price = [0.34, 0.34]", "price = [0.3, inf]", r"rental\[0\]\.price"),
        ("price = 3.99", "price = -3.99", r"endpoint\[0\]\.price: expected `float` >= 0"),
        ('gpu = "RTX 4090"', 'gpu = "RTX 9999"', r"rental\[0\]\.gpu: no GPU is known by the name 'RTX 9999'"),
        ('provider = "vast"', 'provider = "lambda"', r"provider: .*'lambda'"),
        ('as_of = "2026-05-01"', 'as_of = "May"', r"as_of"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_its_place(
    workspace: Workspace, seed: Dataset, coder: Profile, was: str, now: str, said: str
) -> None:
    from lora_tui.backends.compare.prices import TABLE

    text = TABLE.read_text()
    assert was in text
    (workspace.root / "prices.toml").write_text(text.replace(was, now, 1))
    with pytest.raises(BadInput, match=said):
        compare(workspace, {"local": coder}, seed)


def test_steps_that_are_counted_see_as_many_rows_as_their_packs_hold(workspace: Workspace, seed: Dataset) -> None:
    from lora_tui.backends.compare.prices import prices
    from lora_tui.backends.compare.work import work

    profile = load_profile(workspace, "gerbil", backend="local")
    formula = prices(workspace).formula
    capped = with_settings(profile, ["training.max_steps=10", "training.packing=true"])
    batch = capped.training.per_device_train_batch_size * capped.training.gradient_accumulation_steps
    low, high = work(workspace, capped, seed, formula).tokens
    assert (low + high) / 2 == pytest.approx(10 * batch * capped.training.max_length, rel=0.01)
    mixing = with_settings(profile, ["forgetting.replay=self", "forgetting.replay_share=0.5"])
    alone = work(workspace, profile, seed, formula).tokens[0]
    assert work(workspace, mixing, seed, formula).tokens[0] == pytest.approx(2 * alone, rel=0.01)


def test_counted_tokens_take_the_place_of_the_reckoned(workspace: Workspace, counted: Dataset) -> None:
    packed = with_settings(run_stories.PROFILE, ["training.packing=true"])
    found = compare(workspace, {"local": run_stories.PROFILE, "together": packed}, counted)
    assert found.tokens == (25_172 * 16, 25_172 * 16)
    assert found.tokens_source == "audit of rust@1"
    low, high = both(way(found, "together").cost)
    evaluations = 16 * 3_100
    assert low == high == pytest.approx((25_172 * 16 + evaluations) / 1e6 * 0.48)


def test_a_month_follows_the_hours_a_day(workspace: Workspace, seed: Dataset, coder: Profile) -> None:
    once = way(compare(workspace, {"local": coder}, seed, hours_per_day=1), "together")
    low, _ = both(once.monthly)
    assert low == pytest.approx(3.99 * 365 / 12)
    more = way(compare(workspace, {"local": coder}, seed, hours_per_day=8), "together")
    assert both(more.monthly)[0] == pytest.approx(8 * low)


def test_a_table_of_ones_own_takes_the_place_of_ours(workspace: Workspace, seed: Dataset, coder: Profile) -> None:
    from lora_tui.backends.compare.prices import TABLE

    own = TABLE.read_text().replace("price = 0.48", "price = 4.80").replace("minimum = 0.0", "minimum = 40.0")
    (workspace.root / "prices.toml").write_text(own)
    low, high = both(way(compare(workspace, {"local": coder}, seed), "together").cost)
    assert low == 40
    assert high == pytest.approx(SEED_BYTES / 3.6 * 1.25 * 3 / 1e6 * 4.8)
    (workspace.root / "prices.toml").write_text(own.replace("price = 4.80", "prize = 4.80"))
    with pytest.raises(BadInput, match=r"prize: unknown key \(.*prices\.toml:\d+"):
        compare(workspace, {"local": coder}, seed)


def _hash(workspace: Workspace) -> str:
    from lora_tui.dataset import versions

    return versions.find(workspace, "rust").manifest.hash


def remote(workspace: Workspace, where: Box | TogetherJob, *events: journal.AnyEvent) -> str:
    job = msgspec.structs.replace(run_stories.train_job(workspace), elsewhere=where, dataset_hash=_hash(workspace))
    return run_stories.write_run(workspace, "20260921-101010-train-ffff", job, "tiny on rust@1", events).id


def test_a_run_of_ones_own_says_how_fast_that_gpu_is_and_what_it_cost(workspace: Workspace, counted: Dataset) -> None:
    hired = journal.Hired(provider="runpod", id="pod1", name="NVIDIA GeForce RTX 4090", price_per_hour=0.34)
    step = journal.Metrics(
        step=1, epoch=1, loss=1.0, learning_rate=1e-4, tokens=100, tokens_per_second=1000.0, step_seconds=2.0
    )
    gone = journal.Released(provider="runpod", id="pod1", seconds=900, cost=0.09)
    run_id = remote(workspace, Box(provider="runpod"), hired, step, gone)
    found = way(compare(workspace, {"local": run_stories.PROFILE}, counted), "runpod")
    kind = next(item for item in found.kinds if item.gpu == "RTX 4090")
    assert kind.seconds.source == f"your past run {run_id}"
    low, high = both(kind.seconds)
    assert low == pytest.approx(12_034 * 16 / 1000 + 0.15 * 3600)
    assert high == pytest.approx(12_034 * 16 / 1000 + 0.35 * 3600)
    assert found.paid is not None
    assert both(found.paid) == (0.09, 0.09)


def test_this_machines_gpu_is_reckoned_by_its_peak_and_priced_by_the_config(
    workspace: Workspace, seed: Dataset, coder: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = journal.Gpu(name="NVIDIA H200", memory_used=0, memory_total=140 * GIB)
    host = Machine(cores=16, ram_total=64 * GIB, ram_available=12 * GIB, disk_free=900 * GIB, gpus=(gpu,))
    monkeypatch.setattr(here, "machine", lambda folder: host)
    workspace.config.write_text('[cost]\nprice_per_kwh = 0.4\nwatts = 1000\ncurrency = "EUR"\n')
    found = way(compare(workspace, {"local": coder}, seed), "local")
    assert found.fits
    assert found.gpu == "NVIDIA H200"
    assert found.seconds.source == "formula"
    low, high = both(found.cost)
    assert low == pytest.approx(both(found.seconds)[0] / 3600 * 0.4)
    assert low < high
    assert found.cost.unit == "EUR"
    assert found.cost.source == "formula + config.toml"
    assert words.money(found.serving) == "EUR 0.40"


def test_unsloth_stands_beside_trl_where_its_environment_is_and_says_what_it_lacks(
    workspace: Workspace, seed: Dataset, coder: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Engine("unsloth", "/opt/unsloth/bin/python", "2026.1", "there is no GPU that it can use")
    monkeypatch.setattr(engines, "unsloth", lambda workspace: found)
    named = way(compare(workspace, {"local": coder}, seed), "local, unsloth")
    assert (named.backend, named.engine) == ("local", "unsloth")
    assert named.setup == ("there is no GPU that it can use.",)


def test_a_host_of_ones_own_is_known_by_the_runs_it_did(workspace: Workspace, counted: Dataset) -> None:
    workspace.config.write_text('[hosts.attic]\naddress = "attic.example"\nprice_per_hour = 0.5\n')
    before = way(compare(workspace, {"local": run_stories.PROFILE}, counted), "attic")
    assert before.fits is None
    assert "lora-tui hosts check attic" in before.why
    assert not before.cost.known
    gpu = journal.Gpu(name="NVIDIA GeForce RTX 3090", memory_used=1, memory_total=24 * GIB)
    seen = journal.Hardware(cpu=1.0, ram_used=1, ram_total=2, gpus=(gpu,))
    step = journal.Metrics(
        step=1, epoch=1, loss=1.0, learning_rate=1e-4, tokens=100, tokens_per_second=500.0, step_seconds=2.0
    )
    run_id = remote(workspace, Box(provider="host", host="attic"), seen, step)
    after = way(compare(workspace, {"local": run_stories.PROFILE}, counted), "attic")
    assert (after.fits, after.gpu) == (True, "RTX 3090")
    assert after.seconds.source == f"your past run {run_id}"
    assert both(after.cost)[0] == pytest.approx(12_034 * 16 / 500 / 3600 * 0.5)


def test_a_host_is_taken_with_the_memory_and_the_gpus_that_it_has(workspace: Workspace, counted: Dataset) -> None:
    workspace.config.write_text('[hosts.attic]\naddress = "attic.example"\nprice_per_hour = 0.5\ngpus = 2\n')
    gpu = journal.Gpu(name="NVIDIA GeForce RTX 4090 Laptop GPU", memory_used=1, memory_total=1 * GIB)
    seen = journal.Hardware(cpu=1.0, ram_used=1, ram_total=2, gpus=(gpu,))
    remote(workspace, Box(provider="host", host="attic"), seen)
    found = way(compare(workspace, {"local": run_stories.PROFILE}, counted), "attic")
    assert (found.fits, found.gpu) == (False, "2× RTX 4090")
    assert "of 1 GiB" in found.why


def test_how_long_together_took_last_time_is_said(workspace: Workspace, counted: Dataset) -> None:
    began = journal.Started(pid=1, host="together", time=run_stories.NOW - 900)
    estimate = journal.Charged(peer="together", what="training", amount=5.0, estimated=True, time=run_stories.NOW - 800)
    charged = journal.Charged(peer="together", what="training", amount=0.2, time=run_stories.NOW - 1)
    done = journal.Finished(steps=1, seconds=1.0, output="adapter", time=run_stories.NOW)
    run_id = remote(workspace, TogetherJob(model="x"), began, estimate, charged, done)
    found = way(compare(workspace, {"local": run_stories.PROFILE}, counted), "together")
    assert both(found.seconds) == (900, 900)
    assert found.seconds.source == f"your past run {run_id}"
    assert found.paid is not None
    assert both(found.paid) == (0.2, 0.2)


def test_live_prices_are_taken_where_a_key_is_set_and_else_it_says_why_not(
    workspace: Workspace, seed: Dataset, coder: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runpod() as pods, vast() as asks:
        monkeypatch.setenv("RUNPOD_BASE_URL", pods.url)
        monkeypatch.setenv("VAST_BASE_URL", asks.url)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        assert "live API" not in way(compare(workspace, {"local": coder}, seed), "runpod").cost.source
        monkeypatch.setenv("VAST_API_KEY", "another-key")
        found = compare(workspace, {"local": coder}, seed, live=True)
        assert not pods.living
        assert not asks.living
    rented = way(found, "runpod")
    assert rented.cost.source == "formula + live API"
    disk = 60 * 0.10 / 730
    assert both(rented.serving) == pytest.approx((0.34 + disk, 0.69 + disk), abs=1e-3)
    assert {kind.gpu: kind.offers for kind in rented.kinds} == {"RTX 4090": 2, "A100 80GB": 2, "H100": 1}
    assert not [item for item in rented.setup if "key" in item]
    refused = way(found, "vast")
    assert refused.notes[0].startswith("not live: ")
    assert "another-key" not in refused.notes[0]
    assert refused.cost.source == "formula + price table"


def test_a_machine_that_is_too_small_is_not_rented_though_it_is_cheaper(
    workspace: Workspace, seed: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes: list[Box] = []
    monkeypatch.setattr(train_elsewhere, "_created", lambda cli, asked, box, processes: boxes.append(box))
    monkeypatch.setattr(train_elsewhere, "started", lambda cli, run, asked: None)
    monkeypatch.setitem(runpod_fake.GPUS, "NVIDIA RTX 4000 Ada", (16, 0.10, 0.10))
    with runpod() as pods:
        monkeypatch.setenv("RUNPOD_BASE_URL", pods.url)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        asked = ["--workspace", str(workspace.root), "train", "gerbil", "--dataset", "rust", "--backend", "runpod"]
        assert run([*asked, "--yes"]) == 0
        assert "RTX 4090 for $0.35 an hour" in capsys.readouterr().err
        assert run([*asked, "--yes", "--gpu", "4000 Ada"]) == 0
        assert "RTX 4000 Ada for $0.11 an hour" in capsys.readouterr().err
    assert 16 < boxes[0].memory_gb < 24
    assert boxes[1].memory_gb == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["runpod", "--max-price", "0"], "0 is out of range: more than 0"),
        (["runpod", "--max-price", "nan"], "nan is out of range"),
        (["vast", "--max-hours", "-1", "--yes"], "-1 is out of range"),
        (["together", "--gpu", "4090", "--yes"], "--gpu: nothing at together takes that into account"),
        (["together", "--max-hours", "3", "--yes"], "--max-hours: nothing at together"),
        (["attic", "--max-price", "3"], "--max-price: nothing at a host of your own"),
        (["local", "--max-price", "3", "--to-together"], "--max-price, --to-together: nothing at local"),
    ],
)
def test_a_cap_that_would_cap_nothing_starts_nothing(
    workspace: Workspace, seed: Dataset, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    asked = ["--workspace", str(workspace.root), "train", "gerbil", "--dataset", "rust", "--backend", *given]
    assert run(asked) == 2
    assert said in capsys.readouterr().err
    assert not list(workspace.runs.glob("*"))


def test_together_is_asked_whether_it_has_the_base_and_prices_the_files_that_lie_there(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with together_runs.service(monkeypatch) as fake:
        dataset = together_runs.dataset_of(workspace, tmp_path)
        asked = {"local": together_runs.PROFILE}
        before = way(compare(workspace, asked, dataset, live=True), "together")
        assert before.fits
        assert "beginning with the weights of Qwen/Qwen2.5-Coder-7B-Instruct" in before.why
        assert "none of this dataset lies there yet" in before.notes[0]
        assert not fake.jobs.jobs
        pricing.estimate(together_runs.run_of(workspace, dataset))
        priced = way(compare(workspace, asked, dataset, live=True), "together").cost
        assert priced.source == "live API"
        assert both(priced) == (3.3, 3.3)
        wide = with_settings(together_runs.PROFILE, ["lora.r=512"])
        refused = way(compare(workspace, {"local": wide}, dataset, live=True), "together")
        assert refused.fits is False
        assert "lora.r: the most at Together is" in refused.why
        assert not fake.jobs.jobs


def test_the_command_fits_80_columns_and_explains_itself(
    workspace: Workspace, seed: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--workspace", str(workspace.root), "backends", "compare", "gerbil", "--dataset", "rust"]
    workspace.config.write_text(
        '[cost]\nprice_per_hour = 11.5\ncurrency = "EUR"\n'
        '[hosts.a-long-name-for-a-machine-in-the-cellar]\naddress = "x"\n'
    )
    assert run(asked) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "together" in shown
    assert "4 h a day" in shown
    assert run([*asked, "--explain"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for piece in ("MFU", "USD a million", "to Together AI", "set-up"):
        assert piece in shown
    assert run([*asked, "--json", "--hours-per-day", "2"]) == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert data["hours_per_day"] == 2
    assert [item["backend"] for item in data["ways"]] == [
        "local",
        "together",
        "runpod",
        "vast",
        "a-long-name-for-a-machine-in-the-cellar",
    ]
    assert data["ways"][1]["cost"]["unit"] == "USD"
    assert data["ways"][1]["cost"]["steps"]


def test_the_price_table_can_be_had_for_editing_and_is_not_overwritten(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--workspace", str(workspace.root), "backends", "prices"]
    assert run(asked) == 0
    assert "price = 0.48" in capsys.readouterr().out
    assert not (workspace.root / "prices.toml").exists()
    assert run([*asked, "--copy"]) == 0
    own = workspace.root / "prices.toml"
    own.write_text(own.read_text().replace("price = 0.48", "price = 0.40"))
    capsys.readouterr()
    assert run([*asked, "--copy", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["file"] == str(own)
    assert data["together"]["lora_sft"][0]["price"] == 0.40


def test_a_range_is_shown_as_one_and_a_value_as_a_value() -> None:
    assert words.money(Figure(low=0.783, high=2.61, unit="USD")) == "$0.78–2.61"
    assert words.money(Figure(low=3.99, high=3.99, unit="USD/h")) == "$3.99"
    assert words.money(Figure(low=121.4, high=1210.6, unit="EUR/month")) == "EUR 121–1,211"
    assert words.money(Figure(low=0.001, high=0.003, unit="USD")) == "<$0.01"
    assert words.time(Figure(low=4_000, high=9_000, unit="s")) == "1.1–2.5 h"
    assert words.time(Figure(low=60, high=90, unit="s")) == "60–90 s"
    assert words.time(Figure(unit="s")) == "unknown"


def test_gpus_are_known_by_the_names_that_drivers_and_providers_give_them() -> None:
    from lora_tui.backends.compare.gpus import named

    told = {
        "NVIDIA GeForce RTX 4090": "RTX 4090",
        "RTX 4090": "RTX 4090",
        "NVIDIA A100 80GB PCIe": "A100 80GB",
        "A100 SXM4": "A100 80GB",
        "NVIDIA A100-PCIE-40GB": "A100 40GB",
        "NVIDIA H100 80GB HBM3": "H100",
        "NVIDIA H100 PCIe": "H100 PCIe",
        "NVIDIA L4": "L4",
        "NVIDIA L40S": "L40S",
        "NVIDIA A10": "A10",
        "RTX4090": "RTX 4090",
    }
    assert {name: kind.name for name in told if (kind := named(name))} == told
    assert named("GeForce GTX 980") is None
    assert named("NVIDIA GH200 480GB") is None


def test_the_price_table_ships_with_a_date_and_a_source_in_every_row(workspace: Workspace) -> None:
    from lora_tui.backends.compare.prices import TABLE, prices

    table = prices(workspace)
    assert Path(TABLE).is_file()
    rows = [table.formula, table.together, *table.together.lora_sft, *table.together.endpoint]
    for row in [*rows, *table.rental, *table.beside]:
        assert row.as_of
        assert row.source
        assert not row.verified
