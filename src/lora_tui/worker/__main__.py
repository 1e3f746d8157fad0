"""`python -m lora_tui.worker job.toml` does a job.

`… rows PATH` reads a table of chats, `… table` writes one, `… look BASE` shows rows of datasets token by token; over
pipes. `… serve BASE` answers chats over HTTP.
`… reference ASKED SAID` says what a model says, token by token.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import BinaryIO

import msgspec

from lora_tui.jobs import journal, supervisor, table_rows
from lora_tui.jobs.job import Audit, JobFile, Measure, Probe, TinyBase, Train, load_job
from lora_tui.jobs.reference import Said
from lora_tui.worker import allocator, launch, ranks
from lora_tui.worker.hardware import one_gpu
from lora_tui.worker.reporters import reported
from lora_tui.worker.requests import Ended, Requests
from lora_tui.worker.unsloth_model import patch
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError

ENGINE = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")


def main(arguments: list[str]) -> int:
    """Exit code 0 when the job ended as it should (also by request), 1 for a failure, 2 for bad input."""
    allocator.prepare()
    if arguments[:1] == ["serve"]:
        return _serve(arguments[1:])
    if arguments[:1] == ["rows"]:
        return _rows(arguments[1:])
    if arguments[:1] == ["table"]:
        return _table()
    if arguments[:1] == ["look"]:
        return _look(arguments[1:])
    if arguments[:1] == ["reference"]:
        return _reference(Path(arguments[1]), Path(arguments[2]))
    parser = argparse.ArgumentParser(prog="python -m lora_tui.worker")
    parser.add_argument("job", type=Path, help="job.toml in its run folder")
    parser.add_argument("--node-rank", type=int, default=0, help="which machine this is, of a job on several")
    given = parser.parse_args(arguments)
    path: Path = given.job.absolute()
    try:
        file = load_job(path)
    except LoraTuiError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if ranks.under_torchrun():
        ranks.die_with_parent()
    elif given.node_rank == 0:  # the other machines work on the run of the first
        try:
            supervisor.hold(path.parent)
        except BadInput as error:
            print(error, file=sys.stderr)
            return error.exit_code
    if not ranks.under_torchrun() and isinstance(file.job, Train) and launch.several(file.job):
        return launch.launch(file.job, path, given.node_rank)
    if not ranks.under_torchrun():
        one_gpu()
    folder = path.parent
    log = ranks.open_journal(folder / "journal.jsonl")
    log.keep_room()
    asked = Requests(folder)
    asked.listen()
    try:
        _work(file, folder, log, asked)
    except Ended:
        log.write(journal.Stopped())
    except Exception as error:
        traceback.print_exc()
        failed = _failure(error)
        code = error.exit_code if isinstance(error, LoraTuiError) else 1
        if ranks.under_torchrun():
            launch.tell_launcher(code, failed, error.smaller if isinstance(error, launch.TooLarge) else None)
        else:
            with contextlib.suppress(LoraTuiError):  # no room for it: the full disk is seen without the word
                log.write(failed)
        return code
    finally:
        log.close()
    return 0


def _work(file: JobFile, folder: Path, log: journal.Journal, asked: Requests) -> None:
    log.write(journal.Progress(stage="load the engine", done=0))
    if isinstance(file.job, Audit | Measure | Probe):
        asked.end_at_once()
    match file.job:
        case Train():
            if file.job.profile.training.engine == "unsloth":
                patch(log)
            from lora_tui.worker.train import train

            with ranks.joined(), reported(log, file.job.profile.training) as told:
                train(file.job, folder, told, asked)
        case Audit():
            from lora_tui.worker.audit import audit

            audit(file.job, folder, log)
        case Measure():
            from lora_tui.worker.measure import measure

            measure(file.job, folder, log)
        case Probe():
            from lora_tui.worker.probe import probe

            probe(file.job, folder, log, asked)
        case TinyBase():
            log.write(journal.Started(pid=os.getpid(), host=socket.gethostname(), device="cpu"))
            from lora_tui.worker.tiny_model import make_base

            make_base(file.job, folder, log, asked)
        case _:
            raise BadInput(
                f"the engine does no job of the kind {file.job.__struct_config__.tag!r}", where=str(folder / "job.toml")
            )


def _serve(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lora_tui.worker serve")
    parser.add_argument("base", help="a folder or a Hugging Face id")
    parser.add_argument("--name", required=True, help="what requests call the base")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--adapter", action="append", default=[], type=_named, metavar="NAME=FOLDER")
    parser.add_argument("--alone", type=_named, metavar="NAME=FOLDER", help="serve this adapter and nothing else")
    given = parser.parse_args(arguments)
    try:
        from lora_tui.worker.serve import serve

        serve(given.base, given.name, given.port, given.adapter, given.alone)
    except Exception as error:
        traceback.print_exc()
        failed = _failure(error)
        print(f"{failed.reason} {failed.fix}".strip(), file=sys.stderr)
        return error.exit_code if isinstance(error, LoraTuiError) else 1
    return 0


def _named(text: str) -> tuple[str, str]:
    name, _, folder = text.partition("=")
    return name, folder


def _rows(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lora_tui.worker rows")
    parser.add_argument("path", type=Path, help="a Parquet file, or a folder that `datasets` saved")
    path: Path = parser.parse_args(arguments).path
    wire = _wire(buffering=1 << 16)
    from lora_tui.worker.chat_rows import say_failed, serve

    try:
        serve(path, wire)
    except Exception as error:
        traceback.print_exc()
        failed = _failure(error)
        say_failed(wire, failed.reason, failed.fix)
        return error.exit_code if isinstance(error, LoraTuiError) else 1
    return 0


def _table() -> int:
    """Rows from stdin become a Parquet file on stdout; the last line on stderr says why where it does not."""
    wire = _wire(buffering=1 << 20)
    try:
        from lora_tui.worker.table import write

        with wire:
            write(sys.stdin.buffer, wire)
    except Exception as error:
        traceback.print_exc()
        failed = _failure(error)
        sys.stderr.buffer.write(table_rows.line(table_rows.Trouble(error=failed.reason, fix=failed.fix)))
        return error.exit_code if isinstance(error, LoraTuiError) else 1
    return 0


def _look(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lora_tui.worker look")
    parser.add_argument("base", help="a folder or a Hugging Face id")
    base: str = parser.parse_args(arguments).base
    wire = _wire(buffering=1 << 16)
    from lora_tui.jobs.token_view import Trouble, line

    try:
        from lora_tui.worker.look import serve

        serve(base, sys.stdin.buffer, wire)
    except Exception as error:
        traceback.print_exc()
        failed = _failure(error)
        bad = isinstance(error, BadInput)
        with contextlib.suppress(BrokenPipeError):
            wire.write(line(Trouble(id=0, error=failed.reason, where=failed.where, fix=failed.fix, bad_input=bad)))
            wire.flush()
        return error.exit_code if isinstance(error, LoraTuiError) else 1
    return 0


def _reference(asked: Path, said: Path) -> int:
    try:
        from lora_tui.worker.reference import write

        write(asked, said)
    except Exception as error:
        traceback.print_exc()
        failed = _failure(error)
        atomic.write_bytes(said, msgspec.json.encode(Said(error=failed.reason, fix=failed.fix)))
        return error.exit_code if isinstance(error, LoraTuiError) else 1
    return 0


def _wire(buffering: int) -> BinaryIO:
    """The pipe to whoever asked. What a library prints goes to stderr: it must not end up between the lines."""
    wire = os.fdopen(os.dup(1), "wb", buffering=buffering)
    os.dup2(2, 1)
    return wire


def _failure(error: Exception) -> journal.Failed:
    """What a person should read of an error."""
    if isinstance(error, LoraTuiError):
        return journal.Failed(reason=error.what, where=error.where, fix=error.fix)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in ENGINE:
        return journal.Failed(
            reason=f"the engine is not installed: {error.name} is missing",
            fix="Install the engine: pip install 'lora-tui[train]'",
        )
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    text = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    return journal.Failed(reason=reason, where=where, fix="The whole story is in stderr.log of the run.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
