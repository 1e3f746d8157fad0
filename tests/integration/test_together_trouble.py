"""What goes wrong at Together: one clear message, nothing paid twice, nothing lost, and the run goes on afterwards."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fakes.together import CUT, DONE_THEN_CUT, KEY, MALFORMED, FakeTogether
from fakes.together_jobs import adapter_files, archived
from lora_tui.backends.together import pricing
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.supervisor import STOP, Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace import toml
from lora_tui.workspace.layout import Workspace
from together_runs import (
    PROFILE,
    at_step,
    conducted,
    conducted_in_a_fork,
    dataset_of,
    done,
    events,
    lies_there,
    run_of,
    service,
    until,
)

SHORT = msgspec.structs.replace(PROFILE, training=msgspec.structs.replace(PROFILE.training, num_train_epochs=1.0))
PATH = (
    "limits",
    "upload",
    "put",
    "preprocess",
    "file",
    "estimate",
    "jobs",
    "create",
    "job",
    "events",
    "metrics",
    "download",
)
ERRORS: tuple[int | str, ...] = (401, 402, 403, 404, 409, 422, 429, 500, MALFORMED, CUT)
TOLD = [(call, error) for call in PATH for error in ERRORS]
TOLD.remove(("put", MALFORMED))  # the store's words are not read
ALWAYS = 1000


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTogether]:
    with service(monkeypatch) as found:
        yield found


@pytest.fixture
def dataset(workspace: Workspace, tmp_path: Path) -> Dataset:
    return dataset_of(workspace, tmp_path)


def failures(run: Run) -> list[journal.Failed]:
    return [event for event in events(run) if isinstance(event, journal.Failed)]


@pytest.mark.parametrize(("call", "error"), TOLD)
def test_an_error_gives_one_clear_message_and_the_run_goes_on_without_paying_twice(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, call: str, error: int | str
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    fake.fail(call, error, times=ALWAYS)
    view = conducted(run)
    assert view.state == "failed"
    (failed,) = failures(run)
    assert 10 < len(failed.reason) < 400
    assert "bug" not in failed.reason
    assert f"lora-tui runs resume {run.id}" in failed.fix
    paid = dict(lies_there(run))
    fake.mend()
    view = conducted(run)
    assert view.state == "finished", view.failure
    assert len(fake.jobs.jobs) == 1
    assert paid.items() <= lies_there(run).items()
    assert [item.step for item in view.metrics] == [1, 2, 3, 4]
    assert KEY not in run.journal.read_text()


def test_a_short_trouble_is_waited_out(workspace: Workspace, dataset: Dataset, fake: FakeTogether) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    for call in PATH:
        fake.fail(call, 429, times=1)
    assert conducted(run).state == "finished"
    assert len(fake.jobs.jobs) == 1


def test_a_create_whose_answer_is_lost_is_found_and_not_made_again(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    fake.fail("create", DONE_THEN_CUT)
    assert conducted(run).state == "finished"
    assert list(fake.jobs.jobs) == ["ft-1"]


def test_a_job_in_a_list_without_suffixes_is_found_by_what_comes_of_it(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    fake.jobs.tells_suffix = False
    other = run_of(workspace, dataset, SHORT, n_evals=1)
    assert conducted(other).state == "finished"
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    fake.fail("create", DONE_THEN_CUT)
    assert conducted(run).state == "finished"
    assert list(fake.jobs.jobs) == ["ft-1", "ft-2"]
    assert (lies_there(other)["job"], lies_there(run)["job"]) == ("ft-1", "ft-2")


def test_a_job_that_is_restarted_there_leaves_no_hole_in_the_curve(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset, n_evals=3)
    fake.jobs.restarts_at = 6
    view = conducted(run)
    assert view.state == "finished", view.failure
    assert [item.step for item in view.metrics] == list(range(1, 13))
    assert [item.step for item in view.evaluations] == [4, 8, 12]


def test_what_together_does_not_price_is_said_and_stays_an_estimate(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    fake.jobs.tells_price = False
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    view = conducted(run)
    assert view.summary()["cost_usd"] == pytest.approx(1.1)
    assert any("does not say what ft-1 has cost" in event.message for event in view.warnings)
    fake.jobs.tells_price = True


def test_a_create_whose_answer_and_look_up_are_lost_is_found_by_the_next_start(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    fake.fail("create", DONE_THEN_CUT)
    fake.fail("jobs", 500, times=ALWAYS, after=1)  # the look before the create is answered, the one after it is not
    view = conducted(run)
    assert view.state == "failed"
    assert "job" not in lies_there(run)
    fake.mend()
    assert conducted(run).state == "finished"
    assert list(fake.jobs.jobs) == ["ft-1"]


@pytest.mark.parametrize(
    "moment",
    [
        "POST /v1/files",
        "PUT /store/file-1",
        "GET /v1/files/file-2",
        "POST /v1/fine-tunes",
        "GET /v1/fine-tunes/ft-1",
        "GET /v1/fine-tunes/ft-1/events",
        "GET /v1/fine-tunes/ft-1/metrics",
        "GET /v1/finetune/download",
    ],
)
def test_killed_at_any_moment_it_goes_on_and_never_creates_a_second_job(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, moment: str
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    process = conducted_in_a_fork(run)
    until(lambda: fake.calls[moment] > 0)
    process.kill()
    process.join()
    view = conducted(run)
    assert view.state == "finished", view.failure
    assert list(fake.jobs.jobs) == ["ft-1"]
    assert [item.step for item in view.metrics] == [1, 2, 3, 4]
    assert [item.step for item in view.evaluations] == [4]
    assert len(view.checkpoints) == 1
    assert (run.folder / "adapter" / "adapter_model.safetensors").is_file()


def test_a_download_cut_in_the_middle_goes_on_where_it_was(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    half = len(fake.jobs.archive) // 2
    fake.jobs.cuts = [half, 10]
    assert conducted(run).state == "finished"
    assert fake.jobs.ranges == ["bytes=0-", f"bytes={half}-", f"bytes={half + 10}-"]
    assert (run.folder / "adapter" / "adapter_model.safetensors").read_bytes() == adapter_files()[
        "adapter_model.safetensors"
    ]


def test_an_adapter_that_came_whole_before_a_kill_is_not_asked_for_beyond_its_end(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    fake.fail("download", 500, times=ALWAYS)
    assert conducted(run).state == "failed"
    fake.mend()
    (run.folder / "together" / "ft-1.part").write_bytes(fake.jobs.archive)  # killed before it got its name
    assert conducted(run).state == "finished"
    assert fake.jobs.ranges == [f"bytes={len(fake.jobs.archive)}-"]


def conducted_within(run: Run, size: int) -> None:
    """What `conducted` does, in a process whose files may not grow beyond so many bytes: as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    conducted(run)


def on_a_full_disk(run: Run, size: int) -> RunView:
    process = multiprocessing.get_context("fork").Process(target=conducted_within, args=(run, size), daemon=True)
    process.start()
    process.join(30)
    return RunView.of(run)


@pytest.mark.parametrize("noise", [True, False], ids=["while it is downloaded", "while it is unpacked"])
def test_a_full_disk_is_said_and_what_came_is_kept(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, noise: bool
) -> None:
    size = 300_000
    files = adapter_files()
    values = os.urandom(16 * 40_000) if noise else bytes(16 * 40_000)
    header = b'{"a":{"dtype":"F32","shape":[160000],"data_offsets":[0,640000]}}'
    files["adapter_model.safetensors"] = len(header).to_bytes(8, "little") + header + values
    fake.jobs.archive = archived(files)
    assert (len(fake.jobs.archive) > size) == noise
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    view = on_a_full_disk(run, size)
    assert view.state == "failed"
    assert "cannot write" in view.failure
    assert "Free some space" in view.failure
    assert "bug" not in view.failure
    assert not (run.folder / "adapter").exists()
    asked = len(fake.jobs.ranges)
    view = conducted(run)
    assert view.state == "finished", view.failure
    assert fake.jobs.ranges[asked:] == ([f"bytes={size}-"] if noise else [])
    assert (run.folder / "adapter" / "adapter_model.safetensors").read_bytes() == files["adapter_model.safetensors"]


def test_a_disk_that_is_full_at_the_last_bytes_is_said_too(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    fake.jobs.archive = archived({**adapter_files(), "noise": os.urandom(200_000)})
    whole = len(fake.jobs.archive)
    fake.jobs.cuts = [whole - 100]  # what comes then is held back until the file is closed
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    view = on_a_full_disk(run, whole - 50)
    assert "cannot write" in view.failure
    assert "bug" not in view.failure
    assert conducted(run).state == "finished"


def test_stopped_while_it_downloads_it_goes_on_there_and_the_job_is_not_made_again(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    fake.jobs.on_download = (run.folder / STOP).touch
    assert conducted(run).state == "stopped"
    (run.folder / STOP).unlink()
    fake.jobs.on_download = lambda: None
    assert conducted(run).state == "finished"
    assert list(fake.jobs.jobs) == ["ft-1"]


def test_a_real_process_killed_and_started_again_finishes_with_the_same_job(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    fake.jobs.hold_at = 2
    supervisor.start(run)
    until(lambda: fake.jobs.jobs.get("ft-1") is not None and fake.jobs.jobs["ft-1"].step == 2, 60)
    os.kill(toml.load(run.folder / "process.toml", supervisor.Process).pid, signal.SIGKILL)
    assert supervisor.wait(run, 20)
    assert RunView.of(run).state == "failed"
    fake.jobs.hold_at = None
    assert done(run).state == "finished"
    assert list(fake.jobs.jobs) == ["ft-1"]


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"../../outside/adapter_config.json": b"{}"}, "outside itself"),
        ({"adapter_config.json": b'{"r": 8}', "adapter_model.bin": b"pickle"}, "without adapter_model.safetensors"),
        (
            {**adapter_files(), "adapter_model.safetensors": adapter_files()["adapter_model.safetensors"][:-9]},
            "cut short",
        ),
    ],
)
def test_an_archive_that_is_no_adapter_leaves_nothing_and_is_fetched_again(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, files: dict[str, bytes], word: str
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    good, fake.jobs.archive = fake.jobs.archive, archived(files)
    view = conducted(run)
    assert word in view.failure
    assert not (run.folder / "adapter").exists()
    assert not (run.folder.parent.parent / "outside").exists()
    fake.jobs.archive = good
    assert conducted(run).state == "finished"


def test_a_file_that_the_server_finds_invalid_is_one_clear_failure_and_costs_nothing(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    fake.jobs.invalid = "line 3: the role must be user"
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    view = conducted(run)
    assert "line 3: the role must be user" in view.failure
    assert view.summary()["cost_usd"] is None
    assert fake.jobs.jobs == {}


def test_a_validation_that_fails_by_itself_does_not_blame_the_dataset(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    fake.jobs.validation_fails = True
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    view = conducted(run)
    assert "could not validate train.jsonl" in view.failure
    assert "Correct the dataset" not in view.failure
    fake.jobs.validation_fails = False
    assert conducted(run).state == "finished"


def test_asked_to_stop_before_the_job_is_there_it_makes_none(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    pricing.estimate(run)
    (run.folder / STOP).touch()
    assert conducted(run).state == "stopped"
    assert fake.jobs.jobs == {}
    (run.folder / STOP).unlink()
    assert conducted(run).state == "finished"


def test_a_job_dearer_than_agreed_is_not_created(workspace: Workspace, dataset: Dataset, fake: FakeTogether) -> None:
    run = run_of(workspace, dataset, max_price=2.0)
    view = conducted(run)
    assert "it would cost $3.30, and $2.00 was agreed" in view.failure
    assert fake.jobs.jobs == {}


def test_a_price_of_nothing_agrees_to_nothing_dearer(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    fake.jobs.price = 0.0
    run = run_of(workspace, dataset)
    run = pricing.confirmed(run, pricing.estimate(run).price)
    fake.jobs.price = 3.30
    assert "it would cost $3.30, and $0.01 was agreed" in conducted(run).failure
    assert fake.jobs.jobs == {}


def test_what_the_account_may_not_spend_is_not_created(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    fake.jobs.allowed = False
    view = conducted(run_of(workspace, dataset))
    assert "does not let the account spend $3.30" in view.failure
    assert fake.jobs.jobs == {}


def test_an_estimate_uploads_and_prices_and_the_start_does_not_upload_again(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset)
    assert pricing.estimate(run).price == 3.30
    assert fake.jobs.jobs == {}
    assert set(lies_there(run)) == {"training file", "validation file"}
    assert RunView.of(run).summary()["cost_usd"] is None  # nothing was created
    view = conducted(pricing.confirmed(run, 3.30))
    assert view.state == "finished"
    assert view.summary()["cost_usd"] == pytest.approx(3.30)
    assert fake.calls["POST /v1/files"] == 2


def test_a_second_run_on_the_same_dataset_finds_its_files_there(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    first, second = run_of(workspace, dataset), run_of(workspace, dataset)
    pricing.estimate(first)
    pricing.estimate(second)
    assert lies_there(first) == lies_there(second)
    assert len(fake.jobs.files) == 2


def test_a_stopped_run_is_cancelled_there_and_resumed_from_its_checkpoint(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset)
    fake.jobs.hold_at = 6
    process = conducted_in_a_fork(run)
    at_step(fake, "ft-1", 6)
    (run.folder / STOP).touch()
    process.join(20)
    assert process.exitcode == 0
    assert fake.jobs.jobs["ft-1"].status == "cancelled"
    assert isinstance(events(run)[-1], journal.Stopped)
    (run.folder / STOP).unlink()
    fake.jobs.hold_at = None
    view = conducted(run)
    assert view.state == "finished", view.failure
    (second,) = [job for name, job in fake.jobs.jobs.items() if name != "ft-1"]
    assert second.asked["from_checkpoint"] == "ft-1:4"
    assert second.asked["n_epochs"] == 2
    assert [item.step for item in view.metrics] == list(range(1, 13))
    assert view.summary()["cost_usd"] == pytest.approx(1.65 + 2.2)
    charged = [
        round(event.amount, 2) for event in events(run) if isinstance(event, journal.Charged) and not event.estimated
    ]
    assert charged == [1.65, 2.2]


@pytest.mark.parametrize(("way", "bill"), [("stopped", 1.65), ("cancelled there after a kill", 2.475)])
def test_while_a_second_job_works_its_estimate_counts_beside_the_first_ones_bill(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, way: str, bill: float
) -> None:
    run = run_of(workspace, dataset)
    fake.jobs.hold_at = 6
    process = conducted_in_a_fork(run)
    at_step(fake, "ft-1", 6)
    assert RunView.of(run).summary()["cost_usd"] == pytest.approx(3.30)
    if way == "stopped":
        (run.folder / STOP).touch()
        process.join(20)
        (run.folder / STOP).unlink()
        assert RunView.of(run).summary()["cost_usd"] == pytest.approx(1.65)
    else:
        process.kill()
        process.join()
        fake.jobs.jobs["ft-1"].status = "cancelled"
    fake.jobs.price = 4.95  # two of three epochs are left, and cost what all three did before
    process = conducted_in_a_fork(run)
    at_step(fake, "ft-2", 6)
    assert RunView.of(run).summary()["cost_usd"] == pytest.approx(bill + 3.30)
    fake.jobs.hold_at = None
    process.join(20)


def test_from_any_line_of_its_journal_it_tells_the_same_story_and_creates_nothing(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset)
    fake.jobs.hold_at = 6
    process = conducted_in_a_fork(run)
    at_step(fake, "ft-1", 6)
    (run.folder / STOP).touch()
    process.join(20)
    (run.folder / STOP).unlink()
    fake.jobs.hold_at = None
    assert conducted(run).state == "finished"
    lines = run.journal.read_text().splitlines(keepends=True)
    telling = ("remote", "started", "checkpoint", "eval", "stopped", "charged", "note")
    for number, line in enumerate(lines[:-1], start=1):
        if json.loads(line)["type"] not in telling:
            continue
        run.journal.write_text("".join(lines[:number]))
        shutil.rmtree(run.folder / "adapter")
        view = conducted(run)
        assert view.state == "finished", (line, view.failure)
        assert [item.step for item in view.metrics] == list(range(1, 13)), line
        assert [item.step for item in view.evaluations] == [4, 8, 12], line
        assert [item.step for item in view.checkpoints] == [4, 8, 12], line
        paid = [event.what for event in events(run) if isinstance(event, journal.Charged) and not event.estimated]
        assert paid == ["fine-tuning ft-1", "fine-tuning ft-2"], line
    assert list(fake.jobs.jobs) == ["ft-1", "ft-2"]


def test_a_cancel_that_comes_too_late_follows_the_job_to_its_end(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    fake.fail("cancel", 400, times=ALWAYS)
    fake.jobs.hold_at = 2
    process = conducted_in_a_fork(run)
    at_step(fake, "ft-1", 2)
    (run.folder / STOP).touch()
    until(lambda: fake.calls["POST /v1/fine-tunes/ft-1/cancel"] > 0)
    fake.jobs.hold_at = None
    process.join(20)
    assert isinstance(events(run)[-1], journal.Finished)


def test_a_run_stopped_before_its_first_checkpoint_says_that_there_is_nothing_to_go_on_from(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset)
    fake.jobs.hold_at = 2
    process = conducted_in_a_fork(run)
    at_step(fake, "ft-1", 2)
    (run.folder / STOP).touch()
    process.join(20)
    (run.folder / STOP).unlink()
    view = conducted(run)
    assert "no checkpoint" in view.failure
    assert len(fake.jobs.jobs) == 1


def test_told_to_end_it_leaves_the_job_at_work_and_finds_it_again(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    run = run_of(workspace, dataset)
    fake.jobs.hold_at = 6
    process = conducted_in_a_fork(run)
    at_step(fake, "ft-1", 6)
    process.terminate()
    process.join(20)
    assert fake.jobs.jobs["ft-1"].status == "running"
    fake.jobs.hold_at = None
    view = conducted(run)
    assert view.state == "finished"
    assert [item.step for item in view.metrics] == list(range(1, 13))


def test_a_job_that_fails_there_says_what_together_said(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether
) -> None:
    fake.jobs.ends_with = "error"
    run = run_of(workspace, dataset, SHORT, n_evals=1)
    view = conducted(run)
    assert "ended with an error there: Together: The end" in view.failure


def test_the_key_is_in_no_file_whatever_the_server_says(
    workspace: Workspace, dataset: Dataset, fake: FakeTogether, capfd: pytest.CaptureFixture[str]
) -> None:
    for call in PATH:
        run = run_of(workspace, dataset, SHORT, n_evals=1)
        fake.fail(call, 403, times=ALWAYS)
        assert "planted 403" in conducted(run).failure
        fake.mend()
        fake.jobs.jobs.clear()
        fake.jobs.files.clear()
    written = [path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in data for data in written)
    assert KEY not in "".join(capfd.readouterr())
    assert fake.leaks == []
