"""Train: the plan first, then one key."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from screen_text import shown, text_of, until

import run_stories
import together_runs
from fakes.cloud import KEY
from fakes.runpod import runpod
from lora_tui.backends import plan as planning
from lora_tui.backends.compare import here
from lora_tui.backends.compare.ways import compare
from lora_tui.backends.hardware import Machine
from lora_tui.jobs import processor, supervisor
from lora_tui.jobs.job import Box, Together, Train
from lora_tui.jobs.probed import Probed
from lora_tui.tui.app import LoraTuiApp
from lora_tui.tui.screens.train import elsewhere, engine, plan_panel
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles.settings import with_settings
from run_stories import NOW

GIB = 1024**3


def train(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "train", clock=lambda: NOW)


@pytest.fixture
def ready(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A profile, a dataset that is counted already, and a machine that never changes; no engine is needed."""
    run_stories.write_profile(workspace)
    run_stories.write_suite(workspace, run_stories.PROMPTS)
    run_stories.write_base(workspace)
    run_stories.write_dataset(workspace)
    run_stories.write_audit(workspace)
    host = Machine(cores=16, ram_total=64 * GIB, ram_available=20 * GIB, disk_free=900 * GIB, gpus=())
    monkeypatch.setattr(planning, "machine", lambda folder: host)
    monkeypatch.setattr(here, "machine", lambda folder: host)
    monkeypatch.setattr(processor, "has_fast_bf16", lambda: False)
    for name in ("TOGETHER_API_KEY", "RUNPOD_API_KEY", "VAST_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(engine, "missing", lambda: None)
    return workspace


async def test_the_plan_appears_by_itself(ready: Workspace) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "31 to train on", "25,172", "48%", "20.0 GiB free", "CPU, 16 cores")
        await shown(pilot.app, "the profile aims at 40")


async def test_s_starts_the_run_and_shows_it_in_monitor(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[supervisor.Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("s")
        await until(lambda: pilot.app.current_mode == "monitor")
        await shown(pilot.app, "tiny on rust@1", "not started")
    (run,) = started
    assert isinstance(run.file.job, Train)
    asked = [item.prompt for item in run.file.job.samples]
    assert asked == ["sum of a slice in Rust", "read a file in Rust", "keep the even numbers in Rust"]


async def test_errors_of_the_audit_are_to_be_named_before_it_starts(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lora_tui.jobs.audit import Finding

    started: list[supervisor.Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    twins = Finding("error", "twins-across-splits", "2 test rows have a twin in train", ("5c1f",), 2)
    run_stories.write_audit(ready, findings=(twins,))
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "error", "twins-across-splits", "in spite of 1 error")
        await pilot.press("s")
        await shown(pilot.app, "2 test rows have a twin in train", "type the name that")
        await pilot.press(*"twins", "enter")
        await shown(pilot.app, "There is no error called 'twins'")
        await pilot.press("escape")
        await pilot.press("s", *"suite-in-train", "enter")
        await shown(pilot.app, "Not named: twins-across-splits", "repair the dataset")
        await pilot.press("escape")
        assert not started
        await pilot.press("s", *"twins-across-splits", "enter")
        await until(lambda: pilot.app.current_mode == "monitor")
    (run,) = started
    assert isinstance(run.file.job, Train)
    assert run.file.job.allowed == ("twins-across-splits",)


async def test_a_plan_longer_than_the_window_can_be_read_to_its_end(ready: Workspace) -> None:
    from lora_tui.jobs.audit import Finding

    long = "a message that goes on " * 12
    run_stories.write_audit(ready, findings=(Finding("warning", "too-long", long), Finding("note", "outliers", long)))
    async with train(ready).run_test(size=(80, 24)) as pilot:
        text = await shown(pilot.app, "tiny on rust@1", "too-long")
        assert "the profile aims at 40" not in text
        await pilot.press("J", "J", "J")
        await shown(pilot.app, "outliers", "the profile aims at 40")
        await pilot.press("K", "K", "K")
        await shown(pilot.app, "tiny on rust@1")


async def test_nothing_starts_before_its_plan_is_seen(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "start", lambda run: pytest.fail("started"))
    run_stories.write_profile(ready, msgspec.structs.replace(run_stories.PROFILE, name="zz"))
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("G", "s")
        await shown(pilot.app, "the plan is not there yet".capitalize())


async def test_f_changes_what_makes_it_fit_and_s_starts_that(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Machine(cores=2, ram_total=GIB, ram_available=640 * 1024**2, disk_free=GIB, gpus=())
    monkeypatch.setattr(planning, "machine", lambda folder: small)
    shorter = with_settings(run_stories.PROFILE, ["training.max_length=512"])
    run_stories.write_audit(ready, profile=shorter)
    started: list[supervisor.Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    async with train(ready).run_test(size=(160, 50)) as pilot:
        await shown(pilot.app, "f makes it fit", "training.max_length=512", "--fit takes length")
        await pilot.press("f")
        await shown(pilot.app, "changed     training.max_length=512", "max_length 512")
        await pilot.press("s")
        await until(lambda: bool(started))
    assert isinstance(started[0].file.job, Train)
    assert started[0].file.job.profile == shorter
    assert started[0].file.job.planned_bytes > 550 * 1024**2


async def test_f_says_so_where_it_fits_already(ready: Workspace) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "starts it")
        await pilot.press("f")
        await shown(pilot.app, "It fits as it is")


async def test_t_takes_one_real_step_and_shows_what_it_took(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Probed(900 * 1024**2, 4.0, 95.0, 1010, 1, "cpu", "here", NOW)
    monkeypatch.setattr(planning.probe, "take", lambda *asked, **told: step)
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "not known before the first run, or one real step: t")
        await pilot.press("t")
        await shown(pilot.app, "one step    took 900 MiB and 4.0 s", "about 27 min to 45 min", "one probed step")


async def test_without_a_dataset_it_says_where_one_is_built(workspace: Workspace, ready: Workspace) -> None:
    import shutil

    shutil.rmtree(workspace.datasets / "rust")
    async with train(workspace).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "there is no dataset yet", "F3")


async def test_without_the_engine_it_says_how_to_install_it(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(engine, "_PARTS", ("no_such_part",))
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "no_such_part is missing", "pip install 'lora-tui[train]'")
        await shown(pilot.app, "together", "runpod")  # where it could be trained all the same


async def test_a_plan_that_cannot_be_made_says_why_and_another_profile_still_can(ready: Workspace) -> None:
    gone = msgspec.structs.replace(run_stories.PROFILE, name="zz", model=run_stories.Model(base="/no/such/model"))
    run_stories.write_profile(ready, gone)
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("G")
        await shown(pilot.app, "no config.json", "/no/such/model")
        for key in ("b", "s"):
            await pilot.press(key)
            await shown(pilot.app, "This did not work", "This folder holds no model")
            await pilot.press("escape")
        await pilot.press("k")
        await shown(pilot.app, "tiny on rust@1", "starts it")


async def test_another_choice_does_not_wait_for_a_base_that_takes_its_time(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    uncounted = run_stories.Training(num_train_epochs=16.0, max_length=77)
    run_stories.write_profile(ready, msgspec.structs.replace(run_stories.PROFILE, name="zz", training=uncounted))
    run_stories.write_profile(ready, msgspec.structs.replace(run_stories.PROFILE, name="zy"))
    children: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(supervisor, "start", lambda run: children.append(run_stories.living(run)))
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("G")
        await until(lambda: bool(children))
        await pilot.press("k")
        await shown(pilot.app, "zy on rust@1", "starts it")
    assert children[0].wait(10) != 0
    assert not [path for path in ready.runs.glob("*") if "audit" in path.name]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_looks(ready: Workspace, size: tuple[int, int], snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lora_tui.tui.screens.train import choices

    own = {"tiny": ready.profiles / "tiny.toml"}  # the shipped ones may change
    monkeypatch.setattr(choices, "profile_paths", lambda workspace: own)

    async def planned(pilot: Any) -> None:
        await shown(pilot.app, "tiny on rust@1", "starts it", "vast")

    assert snap_compare(train(ready), terminal_size=size, run_before=planned)


async def test_o_lets_the_run_go_on_from_an_adapter_that_fits(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[supervisor.Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    run_stories.earlier_adapter(ready, "tiny@1.0.0", run_stories.PROFILE.lora)
    run_stories.earlier_adapter(ready, "other@1.0.0", msgspec.structs.replace(run_stories.PROFILE.lora, r=3))
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("o")
        text = await shown(pilot.app, "a fresh adapter", "tiny@1.0.0, trained on rust@1", "rows alone that are new")
        assert "other@1.0.0" not in text
        await pilot.press("down", "enter")
        await shown(pilot.app, "goes on from tiny@1.0.0")
        await pilot.press("s")
        await until(lambda: pilot.app.current_mode == "monitor")
        await shown(pilot.app, "tiny on rust@1 from tiny@1.0.0", "not started")
    (run,) = started
    assert isinstance(run.file.job, Train)
    assert (run.file.job.start_name, run.file.job.known) == ("tiny@1.0.0", ())
    assert run.file.title == "tiny on rust@1 from tiny@1.0.0"


async def test_going_on_with_new_rows_only_is_refused_where_there_are_none(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "start", lambda run: pytest.fail("started"))
    run_stories.earlier_adapter(ready, "tiny@1.0.0", run_stories.PROFILE.lora)
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it")
        await pilot.press("o")
        await shown(pilot.app, "rows alone that are new")
        await pilot.press("down", "down", "enter")
        await shown(pilot.app, "with the rows alone that are new to it", "what is counted here is all rows")
        await pilot.press("s")
        await shown(pilot.app, "No row of rust@1 is new to tiny@1.0.0")


async def test_the_ways_to_train_stand_beside_the_plan_and_another_can_be_chosen(ready: Workspace) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        text = await shown(pilot.app, "● local", "together", "runpod", "vast", "$3.99/h")
        assert "$1.00" in text
        await pilot.press("b")
        await shown(pilot.app, "Where to train tiny", "first: a key of Together")
        await pilot.press("down", "down", "enter")
        await shown(pilot.app, "● runpod")
        await pilot.press("s")
        await shown(pilot.app, "No key: $RUNPOD_API_KEY is not set")
        await pilot.press("escape")
        await shown(pilot.app, "● runpod", "starts it")


async def test_what_cannot_be_planned_here_can_still_be_sent_elsewhere(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_plan(*_: object, **__: object) -> None:
        raise LoraTuiError("this machine has no tokenizer of it.")

    monkeypatch.setattr(plan_panel, "plan", no_plan)
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "this machine has no tokenizer of it", "● local", "vast")
        await pilot.press("s")
        assert "of it.." not in await shown(pilot.app, "This did not work", "This machine has no tokenizer of it.")
        await pilot.press("escape", "b")
        await shown(pilot.app, "Where to train tiny")
        await pilot.press("down", "down", "enter")
        await shown(pilot.app, "● runpod")
        await pilot.press("s")
        await shown(pilot.app, "No key: $RUNPOD_API_KEY is not set")


async def test_a_rented_machine_is_asked_for_once_its_price_is_agreed_to(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[supervisor.Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    with runpod() as pods:
        monkeypatch.setenv("RUNPOD_BASE_URL", pods.url)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        async with train(ready).run_test(size=(80, 24)) as pilot:
            await shown(pilot.app, "● local", "vast")
            await pilot.press("b", "down", "down", "enter")
            await shown(pilot.app, "● runpod")
            await pilot.press("s")
            await shown(
                pilot.app, "Train at runpod?", "RTX 4090 for $0.35 an hour now", "At most $0.44 an hour, within 1 hour"
            )
            await pilot.press("escape")
            await shown(pilot.app, "starts it")
            assert not started
            assert not list(ready.runs.iterdir())
            await pilot.press("s")
            await shown(pilot.app, "Train at runpod?")
            await pilot.press("enter")
            await until(lambda: pilot.app.current_mode == "monitor")
            await shown(pilot.app, "tiny on rust@1 at runpod", "not started")
        assert not pods.living
    (run,) = started
    assert isinstance(run.file.job, Train)
    box = run.file.job.elsewhere
    assert isinstance(box, Box)
    assert msgspec.structs.replace(box, memory_gb=0) == Box(provider="runpod", gpu="4090", max_price=0.44, max_hours=1)
    assert 0 < box.memory_gb < 24


async def test_a_host_of_ones_own_starts_at_once(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[supervisor.Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    ready.config.write_text('[hosts.attic]\naddress = "attic.example"\nprice_per_hour = 0.5\n')
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "● local", "attic", "then $0.50/h")
        await pilot.press("b", "down", "down", "down", "down", "enter")
        await shown(pilot.app, "● attic")
        await pilot.press("s")
        await until(lambda: pilot.app.current_mode == "monitor")
        await shown(pilot.app, "tiny on rust@1 at attic")
    (run,) = started
    assert isinstance(run.file.job, Train)
    assert run.file.job.elsewhere == Box(provider="host", host="attic")


async def test_a_host_that_is_gone_is_not_taken_for_this_machine(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "start", lambda run: pytest.fail("started"))
    ready.config.write_text('[hosts.attic]\naddress = "attic.example"\n')
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "● local", "attic")
        await pilot.press("b")
        await shown(pilot.app, "the way", "set-up")
        await pilot.press("down", "down", "down", "down", "enter")
        await shown(pilot.app, "● attic")
        ready.config.write_text("")
        await pilot.press("r")
        await until(lambda: "● attic" not in text_of(pilot.app))
        await shown(pilot.app, "vast")
        await pilot.press("s")
        await shown(pilot.app, "Attic is no longer there to train at")


async def test_the_arithmetic_of_every_way_is_a_key_away(ready: Workspace) -> None:
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "● local")
        await pilot.press("e")
        await shown(pilot.app, "Where to train", "tokens over all passes", "stays on this machine")
        page = pilot.app.screen.text()  # type: ignore[attr-defined]
        assert "MFU" in page
        assert "0.48 USD a million" in page
        assert max(map(len, page.splitlines())) <= 68


async def test_a_mistake_in_the_price_table_is_said_and_the_plan_is_still_there(ready: Workspace) -> None:
    (ready.root / "prices.toml").write_text("[formula]\nmfu = 3\n")
    async with train(ready).run_test(size=(80, 24)) as pilot:
        await shown(pilot.app, "tiny on rust@1", "starts it", "31 to train on", "formula")
        await pilot.press("e")
        await shown(pilot.app, "This did not work", "prices.toml")
        await pilot.press("escape")
        text = await shown(pilot.app, "starts it")
        assert "Reading" not in text


def test_at_together_the_price_is_known_before_anything_may_start(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[supervisor.Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    with together_runs.service(monkeypatch) as fake:
        dataset = together_runs.dataset_of(workspace, tmp_path)
        way = compare(workspace, {"local": together_runs.PROFILE}, dataset).ways[1]
        wish = elsewhere.Wish(way, together_runs.PROFILE, dataset)
        made = elsewhere.ready(workspace, wish, lambda *told: None)
        assert "Together estimates $3.30" in made.question
        assert not fake.jobs.jobs
        run = made.begin()
    assert started[-1] == run
    assert isinstance(run.file.job, Train)
    assert isinstance(run.file.job.elsewhere, Together)
    assert run.file.job.elsewhere.max_price == 3.3
