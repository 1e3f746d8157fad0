"""`lora-tui export merged | gguf | ollama | vllm`: an adapter for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lora_tui.cli.output import NUMBER, Cli, Number, json_option, pass_cli
from lora_tui.jobs.job import Export
from lora_tui.workspace.errors import BadInput, LoraTuiError

_STOP_SECONDS = 60.0


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.argument("adapter"),
            click.option(
                "--base", default="", metavar="PATH", help="Folder or Hugging Face id; else what the adapter names."
            ),
            click.option("--detach", is_flag=True, help="Do not wait for it."),
            json_option,
            pass_cli,
        )
    ):
        command = option(command)
    return command


@click.command("merged")
@click.option("--output", required=True, metavar="DIR", help="A new folder.")
@click.option("--dtype", default="", metavar="TYPE", help="bf16, f16 or f32; else as the base is stored.")
@_shared
def merged(cli: Cli, adapter: str, base: str, output: str, dtype: str, detach: bool) -> None:
    """Merge ADAPTER into its base: a Hugging Face folder that any engine loads."""
    _export(cli, Export(what="merged", base="", output=output, type=dtype), adapter, base, detach)


@click.command("gguf")
@click.option("--output", required=True, metavar="FILE", help="A new file.")
@click.option("--type", "kind", default="", metavar="TYPE", help="f16, bf16, q8_0, q4_0, Q4_K_M, …; else as the base.")
@click.option("--adapter-only", is_flag=True, help="The adapter alone, to lay over its base's GGUF (--lora).")
@_shared
def gguf(cli: Cli, adapter: str, base: str, output: str, kind: str, adapter_only: bool, detach: bool) -> None:
    """Write ADAPTER merged into its base as GGUF, for llama.cpp. ADAPTER may be `none`: the base alone."""
    if adapter_only and kind:
        raise BadInput("an adapter alone is stored in f32", fix="Leave --type out.")
    wanted = Export(what="gguf", base="", output=output, type=kind, adapter_only=adapter_only)
    _export(cli, wanted, adapter, base, detach)


@click.command("ollama")
@click.option("--name", default="", metavar="NAME", help="Of the model at Ollama; else the adapter's.")
@click.option("--type", "kind", default="", metavar="TYPE", help="f16, q8_0, Q4_K_M, …; else as the base.")
@click.option("--separate", is_flag=True, help="Base and adapter as two layers: models of one base share it.")
@click.option("--system", default="", metavar="TEXT", help="The model's system prompt.")
@click.option("--parameter", multiple=True, metavar="KEY=VALUE", help="As num_ctx=16384; may be repeated.")
@click.option("--modelfile", default="", metavar="FILE", help="Write a Modelfile and its GGUF; ask no Ollama.")
@click.option("--host", default="", metavar="URL", help="Where Ollama is; else $OLLAMA_HOST, else this machine.")
@_shared
def ollama(
    cli: Cli,
    adapter: str,
    base: str,
    name: str,
    kind: str,
    separate: bool,
    system: str,
    parameter: tuple[str, ...],
    modelfile: str,
    host: str,
    detach: bool,
) -> None:
    """Make an Ollama model of ADAPTER (or `none`) on its base, from a GGUF written here."""
    pairs = []
    for one in parameter:
        key, equals, value = one.partition("=")
        if not equals:
            raise BadInput(f"{one!r} is no parameter", fix="Write --parameter num_ctx=16384.")
        pairs.append((key.strip(), value))
    wanted = Export(
        what="ollama",
        base="",
        output=modelfile,
        type=kind,
        adapter_only=separate,
        model=name or _model_name(adapter, base),
        host=host,
        system=system,
        parameters=tuple(pairs),
    )
    _export(cli, wanted, adapter, base, detach)


def _model_name(adapter: str, base: str) -> str:
    """A name for Ollama from what was typed: coder@1.0.0 is coder:1.0.0."""
    if adapter == "none":
        return Path(base).name or "base"
    name, at, version = Path(adapter).name.partition("@")
    return f"{name}:{version}" if at and version else name


def _export(cli: Cli, wanted: Export, adapter: str, base: str, detach: bool) -> None:
    from lora_tui.adapters.exporting.asking import prepared
    from lora_tui.jobs import supervisor
    from lora_tui.jobs.view import RunView

    job = prepared(cli.workspace, wanted, adapter, base)
    of = job.adapter_name or job.base_name
    run = supervisor.create(cli.workspace, job, f"{of} as {wanted.what}")
    supervisor.start(run)
    if detach:
        cli.emit(RunView.of(run).summary(), f"{run.id} works on its own; watch it with `lora-tui runs follow {run.id}`")
        return
    view = RunView(run)
    try:
        _watch(cli, view)
    except BaseException:
        _stop(cli, view)
        raise
    if view.state != "finished":
        raise LoraTuiError(view.failure or f"the export was {view.state}", where=run.id)
    made = _made(run.folder)
    cli.emit(made, lambda: f"{made['output']}: {_size(int(made['bytes']))}, {made['type']}\n{made['verdict']}")


def _watch(cli: Cli, view: Any) -> None:
    from lora_tui.cli.runs_follow import watch
    from lora_tui.jobs import journal

    with cli.progress("export") as advance:
        for event in watch(view):
            if isinstance(event, journal.Progress):
                advance(event.done, event.total, event.stage)


def _stop(cli: Cli, view: Any) -> None:
    """An export that nobody waits for any more leaves nothing behind."""
    from lora_tui.jobs import supervisor

    if not supervisor.is_alive(view.run):
        return
    cli.say("stopping the export")
    supervisor.stop(view.run)
    if not supervisor.wait(view.run, _STOP_SECONDS):
        supervisor.kill(view.run)


def _made(folder: Path) -> dict[str, Any]:
    import msgspec

    return msgspec.json.decode((folder / "made.json").read_bytes(), type=dict[str, Any])


def _size(count: int) -> str:
    from lora_tui.backends.plan_words import size

    return size(count)


@click.command("vllm")
@click.argument("adapters", nargs=-1, required=True, metavar="ADAPTER…")
@click.option("--base", default="", metavar="B", help="Folder or Hugging Face id; else what the first adapter names.")
@click.option("--output", type=Path, metavar="DIR", help="Write the command and a systemd unit into this folder.")
@click.option("--host", default="127.0.0.1", show_default=True, help="To listen on.")
@click.option("--port", default=8000, show_default=True, type=Number(1, 65_535))
@click.option("--max-model-len", type=NUMBER, metavar="N", help="Tokens of a conversation; else the model's own.")
@click.option("--vllm", "program", default="vllm", show_default=True, metavar="PATH", help="vLLM's own command.")
@json_option
@pass_cli
def vllm(
    cli: Cli,
    adapters: tuple[str, ...],
    base: str,
    output: Path | None,
    host: str,
    port: int,
    max_model_len: int | None,
    program: str,
) -> None:
    """Print the command with which vLLM serves a base and its ADAPTERs, or write it with a systemd unit."""
    import msgspec

    from lora_tui.adapters.exporting.vllm import plan, write

    made = plan(cli.workspace, adapters, base, program=program, host=host, port=port, max_model_len=max_model_len or 0)
    files = write(made, output) if output is not None else ()
    data = {**msgspec.to_builtins(made), "files": [str(path) for path in files]}

    def text() -> str:
        lines = [*made.shown, *(f"note: {note}" for note in made.notes)]
        return "\n".join(lines + [f"written: {path}" for path in files])

    cli.emit(data, text)


COMMANDS = (merged, gguf, ollama, vllm)
