"""`lora-tui adapters verify|diff|memory`: is it what was registered, what differs, what it takes to serve."""

from __future__ import annotations

import click
import msgspec

from lora_tui.adapters import aliases, checking, memory, registry
from lora_tui.adapters.byte_text import size
from lora_tui.adapters.difference import Difference, ModuleDifference
from lora_tui.adapters.stored import folders
from lora_tui.cli.output import NUMBER, Cli, json_option, pass_cli, table
from lora_tui.workspace.errors import BadInput


@click.command("verify")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Every version.")
@json_option
@pass_cli
@click.pass_context
def verify(context: click.Context, cli: Cli, name: str | None, every: bool) -> None:
    """Check the files, metadata and weights of a version; exit code 1 when something is wrong."""
    if not name and not every:
        raise BadInput("which adapter?", fix="Name it: NAME@VERSION, or --all.")
    if name and every:
        raise BadInput("either one adapter or all of them", fix=f"Leave out {name!r} or --all.")
    registry.register_finished(cli.workspace)
    here = {f"{folder.parent.name}@{folder.name}": folder for folder in folders(cli.workspace)}
    chosen = here
    if name:
        if name in here:  # a damaged one is not found
            chosen = {name: here[name]}
        else:
            found = registry.find(cli.workspace, name)
            chosen = {found.label: found.folder}
    wrong = 0
    results = []
    with cli.progress("verifying") as advance:
        for number, (label, folder) in enumerate(chosen.items()):
            advance(number, len(chosen), label)
            findings = checking.check(cli.workspace, folder)
            wrong += bool(findings)
            results.append((label, findings))
    for alias, label in (aliases.dangling(cli.workspace) if every else {}).items():
        wrong += 1
        results.append((alias, [checking.Finding("aliases.json", f"it is {label}, which is not there")]))
    lines = [
        line
        for label, findings in results
        for line in ([f"{label}: {item.file}: {item.what}" for item in findings] or [f"{label}: whole"])
    ]
    data = [{"label": label, "findings": msgspec.to_builtins(found)} for label, found in results]
    cli.emit(data, "\n".join(lines) or "no adapter yet")
    context.exit(1 if wrong else 0)


@click.command("diff")
@click.argument("one")
@click.argument("other")
@json_option
@pass_cli
def diff(cli: Cli, one: str, other: str) -> None:
    """Compare two adapters: config, metadata, and per module the angle between their ΔW. Folders work too."""
    from lora_tui.adapters.difference import compare

    first, second = registry.opened(cli.workspace, one), registry.opened(cli.workspace, other)
    found = compare(first, second)
    for remark in found.remarks:
        cli.say(f"{remark}; the comparison leaves it out")
    cli.emit(
        {
            "one": first.label,
            "other": second.label,
            **msgspec.to_builtins(found),
            "total": _data(found.total),
            "modules": [_data(item) for item in found.modules],
        },
        lambda: _text(first.label, second.label, found),
    )


def _data(item: ModuleDifference) -> dict[str, object]:
    return {**msgspec.to_builtins(item), "ratio": item.ratio}


def _text(one: str, other: str, found: Difference) -> str:
    changed = [(item.key, _short(item.one), _short(item.other)) for item in (*found.config, *found.metadata)]
    rows = [
        (item.module, item.cosine, item.ratio, item.distance, item.norm, item.other_norm)
        for item in (found.total, *found.modules)
    ]
    return "\n\n".join(
        [
            table(changed, ("what", one, other), empty="config and metadata are the same"),
            "the weights are the same, byte by byte"
            if found.same_weights
            else table(rows, ("ΔW of", "cosine", "norm ratio", "distance", "norm", "other norm")),
        ]
    )


def _short(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


@click.command("memory")
@click.argument("names", nargs=-1, required=True)
@click.option("--max-lora-rank", type=NUMBER, default=None, help="Of the server; else the smallest that holds all.")
@json_option
@pass_cli
def memory_(cli: Cli, names: tuple[str, ...], max_lora_rank: int | None) -> None:
    """Say what adapters take on disk, and on a vLLM server that holds them together."""
    found = memory.serving_set([registry.opened(cli.workspace, name) for name in names], max_lora_rank or 0)
    rows = [(item.label, item.r, size(item.file), size(item.served)) for item in found.adapters]
    cli.emit(
        msgspec.to_builtins(found),
        lambda: (
            table(rows, ("adapter", "r", "file", f"at rank {found.max_lora_rank}"), right=(2, 3))
            + f"\n\n{found.max_loras} slots of {size(found.slot)} each: {size(found.total)}, with "
            f"--max-lora-rank {found.max_lora_rank} --max-loras {found.max_loras}, in 16-bit numbers.\n"
            "A slot holds every module that one of them adapts; vLLM may reserve more, for others."
        ),
    )


COMMANDS = (verify, diff, memory_)
