"""Trainings of other programs, watched: files written by the real TensorBoard writer and by transformers' format."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tensorboardX import SummaryWriter

from lora_tui.cli.main import cli
from lora_tui.jobs import attached, journal, supervisor
from lora_tui.jobs.foreign.reader import Reader
from lora_tui.jobs.foreign.scalars import scalars
from lora_tui.jobs.view import RunView
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from trainer_states import trainer_state

BEGAN = 1_790_000_000.0


def runs(workspace: Workspace, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--workspace", str(workspace.root), "runs", *arguments])


def write(folder: Path, first: int, last: int) -> None:
    """What Trainer's TensorBoard callback writes at steps `first` to `last`, into a file of its own."""
    writer = SummaryWriter(str(folder), filename_suffix=f".{first:04}")
    writer.add_text("args", "x" * 50_000)
    for step in range(first, last + 1):
        time = BEGAN + step
        writer.add_scalar("train/loss", 3 / step, step, walltime=time)
        writer.add_scalar("train/learning_rate", 1e-4, step, walltime=time)
        writer.add_scalar("train/grad_norm", 0.5, step, walltime=time)
        writer.add_scalar("train/epoch", step / 10, step, walltime=time)
        if step % 5 == 0:
            writer.add_scalar("eval/loss", 4 / step, step, walltime=time + 0.5)
    writer.close()
    written_a_while_ago(folder)


def written_a_while_ago(folder: Path) -> None:
    """As if the last write lay some seconds back: a step's values are not waited for any more."""
    for path in folder.rglob("*tfevents*"):
        os.utime(path, (BEGAN, BEGAN))


def event_file(folder: Path) -> Path:
    (path,) = folder.rglob("*tfevents*")
    return path


def test_tensorboard_files_are_followed_while_they_grow(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "Nov20_box", 1, 10)
    reader = Reader(tmp_path)
    first = reader.read()
    steps = [event for event in first if isinstance(event, journal.Metrics)]
    assert [(item.step, round(item.loss, 4), item.grad_norm) for item in steps] == [
        (step, round(3 / step, 4), 0.5) for step in range(1, 11)
    ]
    assert steps[-1].learning_rate == pytest.approx(1e-4)
    assert (steps[-1].epoch, steps[-1].step_seconds) == (pytest.approx(1.0), pytest.approx(1.0, abs=1e-4))
    assert [event.eval_loss for event in first if isinstance(event, journal.Evaluation)] == pytest.approx([0.8, 0.4])
    write(tmp_path / "runs" / "Nov20_box", 11, 12)
    assert [event.step for event in reader.read() if isinstance(event, journal.Metrics)] == [11, 12]
    assert reader.read() == []


def test_an_event_that_is_half_written_waits_for_its_end(tmp_path: Path) -> None:
    write(tmp_path / "whole", 1, 4)
    data = event_file(tmp_path).read_bytes()
    growing = tmp_path / "growing"
    growing.mkdir()
    file = growing / "events.out.tfevents.1"
    reader = Reader(growing)
    seen: list[int] = []
    for end in (0, 5, 11, len(data) // 2, len(data) - 3, len(data)):
        file.write_bytes(data[:end])
        written_a_while_ago(growing)
        seen += [event.step for event in reader.read() if isinstance(event, journal.Metrics)]
    assert seen == [1, 2, 3, 4]


def test_a_damaged_event_is_left_out_and_the_others_are_read(tmp_path: Path) -> None:
    write(tmp_path, 1, 6)
    file = event_file(tmp_path)
    data = bytearray(file.read_bytes())
    place = data.index(struct.pack("<f", 3 / 4))  # the loss of step 4
    data[place] ^= 0xFF
    file.write_bytes(data)
    written_a_while_ago(tmp_path)
    assert [event.step for event in Reader(tmp_path).read() if isinstance(event, journal.Metrics)] == [1, 2, 3, 5, 6]


def test_a_scalar_that_tensorflow_wrote_as_a_tensor_is_read() -> None:
    content = b"\x08\x01" + b"\x22\x04" + struct.pack("<f", 1.5)  # dtype float, tensor_content
    value = b"\x0a\x04loss" + b"\x42" + bytes([len(content)]) + content
    summary = b"\x0a" + bytes([len(value)]) + value
    event = b"\x09" + struct.pack("<d", 12.0) + b"\x10\x07" + b"\x2a" + bytes([len(summary)]) + summary
    (found,) = scalars(event)
    assert (found.tag, found.step, found.time, found.value) == ("loss", 7, 12.0, 1.5)
    assert list(scalars(event[:-3])) == []


def test_the_newest_trainer_state_tells_the_run_and_a_newer_one_goes_on(tmp_path: Path, workspace: Workspace) -> None:
    folder = tmp_path / "out"
    trainer_state(folder, 10)
    (run,) = attached.attach(workspace, folder, BEGAN)
    view = RunView.of(run)
    assert (view.state, view.step, view.total_steps, view.evaluations[0].eval_loss) == ("running", 10, 40, 1.25)
    assert [warning.code for warning in view.warnings] == ["nan"]
    trainer_state(folder, 40)
    view.refresh()
    assert [item.step for item in view.metrics] == [step for step in range(1, 41) if step != 3]
    assert [item.step for item in view.checkpoints] == [10, 40]
    assert view.state == "finished"


def test_an_attached_training_is_listed_shown_and_forgotten_and_nothing_is_written_there(
    tmp_path: Path, workspace: Workspace
) -> None:
    folder = tmp_path / "my run"
    trainer_state(folder, 10)
    before = sorted(folder.rglob("*"))
    assert "foreign-my-run" in runs(workspace, "attach", str(folder / "checkpoint-10" / "trainer_state.json")).output
    assert "my run" in runs(workspace, "list").output
    assert "step    10/40" in runs(workspace, "show", "foreign-my").output
    for command in ("stop", "pause", "resume", "checkpoint"):
        error = runs(workspace, command, "foreign-my").exception
        assert isinstance(error, BadInput)
        assert error.what.startswith("another program runs this")
    assert sorted(folder.rglob("*")) == before
    runs(workspace, "attach", str(folder), "--forget")
    assert "my run" not in runs(workspace, "list").output


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "this workspace"])
def test_what_cannot_be_watched_is_refused(tmp_path: Path, workspace: Workspace, there: str) -> None:
    supervisor.create(workspace, supervisor.TinyBase(chats="", output=""), "test")
    places = {"nothing": tmp_path / "no", "an empty folder": tmp_path, "this workspace": workspace.root}
    with pytest.raises(BadInput):
        attached.attach(workspace, places[there], BEGAN)
    assert attached.places(workspace) == ()
