"""`lora-tui adapters`: what was trained, merged or taken in, what it is for, and what is used."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from lora_tui.adapters import aliases, memory, registry, tags, tombstones
from lora_tui.adapters.byte_text import size
from lora_tui.adapters.lineage import lineage
from lora_tui.adapters.registry import Adapter
from lora_tui.adapters.stored import misplaced, unreadable
from lora_tui.adapters.tombstones import Tombstone
from lora_tui.cli import adapters_change, adapters_check
from lora_tui.cli.adapters_merge import merge
from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, ago, json_option, pass_cli, table
from lora_tui.verify.reports import report
from lora_tui.verify.reports.report import Report
from lora_tui.workspace.errors import BadInput


@click.group("adapters", cls=Group)
def group() -> None:
    """The trained adapters: immutable versions in PEFT layout, and the names that point to them."""


@group.command("list")
@click.option("--domain", metavar="TAG", help="Only what is for this, as in rust.")
@click.option("--all", "every", is_flag=True, help="Also what was removed, when and why.")
@json_option
@pass_cli
def list_(cli: Cli, domain: str | None, every: bool) -> None:
    """List every adapter version, newest first."""
    failed: dict[str, str] = {}
    registered = registry.adapters(cli.workspace, failed)
    tagged = tags.every_tag(cli.workspace, registered)
    found = [item for item in registered if domain in (None, *tagged[item.label])]
    gone = [item for item in tombstones.tombstones(cli.workspace) if every]
    pointing = _pointing(cli)
    for label, why in unreadable(cli.workspace).items():
        cli.say(f"{label} cannot be read: {why}")
    for label, folder in misplaced(registered).items():
        cli.say(f"{label} lies in {folder}, where no version of that name belongs: move it back")
    for alias, label in aliases.dangling(cli.workspace).items():
        cli.say(f"{alias} is {label}, which is not there: `lora-tui adapters tag` points it elsewhere")
    for run, why in failed.items():
        cli.say(f"the adapter of the run {run} could not be registered: {why}")
    cli.emit(
        [_data(item, pointing, tagged[item.label]) for item in found] + [_buried(item) for item in gone],
        lambda: "\n\n".join(filter(None, [_listed(found, pointing, tagged), _gone(gone)])),
    )


def _listed(found: list[Adapter], pointing: Mapping[str, list[str]], tagged: Mapping[str, tuple[str, ...]]) -> str:
    rows = [
        (
            item.label,
            ", ".join(pointing.get(item.label, [])),
            ", ".join(tagged[item.label]),
            item.metadata.dataset or item.metadata.strategy,
            item.metadata.steps,
            item.metadata.loss,
            item.metadata.eval_loss,
            _moved(item),
            ", ".join(item.metadata.parents),
            item.metadata.r,
            size(memory.file_bytes(item.folder)),
            ago(int(item.metadata.created * 1000)),
        )
        for item in found
    ]
    headings = ("adapter", "in use", "for", "dataset", "steps", "loss", "eval loss", "general", "from", "r", "size")
    return table(rows, (*headings, "age"), empty="no adapter yet: lora-tui train PROFILE --dataset NAME", right=(10,))


def _gone(gone: list[Tombstone]) -> str:
    rows = [(item.label, ago(int(item.time * 1000)), item.who, item.why) for item in gone]
    return table(rows, ("removed", "age", "by", "why"), empty="")


@group.command("show")
@click.argument("name")
@json_option
@pass_cli
def show(cli: Cli, name: str) -> None:
    """Show one adapter (NAME, NAME@VERSION or NAME@ALIAS): what made it, how it did, whether its files are intact."""
    found = registry.find(cli.workspace, name)
    damaged = registry.damaged_files(found)
    line = [item if isinstance(item, str) else item.label for item in lineage(cli.workspace, found)]
    reports = report.about(cli.workspace, found.label)
    data = {
        **_data(found, _pointing(cli), tags.tags(cli.workspace, found)),
        "lineage": line,
        "fisher": (found.folder / registry.FISHER).is_file(),
        "damaged": damaged,
        "reports": [_result(item, found.label) for item in reports],
    }
    shown = {key: value for key, value in data.items() if key not in _OTHERWISE} | {
        "created": time.strftime("%Y-%m-%d %H:%M", time.localtime(found.metadata.created)),
        "lineage": " ← ".join(line) if len(line) > 1 else "",
        "general loss": _moved(found, kl=True),
        "fisher": "kept, for a later run's EWC" if data["fisher"] else "",
        "new_rows_only": "yes" if found.metadata.new_rows_only else "",
        "sources": ", ".join(f"{item.label} × {item.weight:g}" for item in found.metadata.sources),
        "strategy_settings": ", ".join(f"{key} {value}" for key, value in found.metadata.strategy_settings.items()),
        "size": size(memory.file_bytes(found.folder)),
        "served": _served(found, damaged),
        **{key: ", ".join(map(str, _list(data[key]))) for key in ("aliases", "tags", "target_modules", "damaged")},
        **{f"report {item.id}": _told(item, found.label) for item in reports},
    }
    cli.emit(
        data,
        lambda: table([(key, value) for key, value in shown.items() if value not in (None, [], "", 0)], ("what", "")),
    )


@group.command("history")
@click.argument("name", required=False)
@json_option
@pass_cli
def history(cli: Cli, name: str | None) -> None:
    """Say what was registered, promoted and removed, when and why; newest first."""
    events: list[dict[str, Any]] = []
    for item in registry.adapters(cli.workspace):
        about = item.metadata
        made = about.strategy or about.run or about.note
        events.append({"time": about.created, "name": about.name, "what": f"{item.label} was registered", "why": made})
    for buried in tombstones.tombstones(cli.workspace):
        what = f"{buried.label} was removed"
        events.append({"time": buried.time, "name": buried.name, "what": what, "why": buried.why, "who": buried.who})
    for owner in sorted({event["name"] for event in events} | aliases.aliases(cli.workspace).keys()):
        for moved in aliases.history(cli.workspace, owner):
            was = f" (was {moved.previous})" if moved.previous and moved.version else ""
            what = f"{moved.alias} is {moved.version}{was}" if moved.version else f"{moved.alias} was dropped"
            events.append({"name": owner, "what": what, **msgspec.to_builtins(moved)})
    chosen = sorted((event for event in events if name in (None, event["name"])), key=lambda item: -item["time"])
    if name is not None and not chosen:
        registry.find(cli.workspace, name)
    cli.emit(
        chosen,
        lambda: table(
            [(_when(item["time"]), item["what"], item.get("who") or "", item["why"]) for item in chosen],
            ("when", "what", "who", "why"),
        ),
    )


for command in (*adapters_change.COMMANDS, *adapters_check.COMMANDS, merge):
    group.add_command(command)

_OTHERWISE = ("lora", "parents", "general_loss", "general_loss_before", "general_kl", "errors", "reports", "file_bytes")


def _pointing(cli: Cli) -> dict[str, list[str]]:
    """The aliases of every label."""
    found: dict[str, list[str]] = {}
    for pointed in aliases.aliases(cli.workspace).values():
        for alias, label in pointed.items():
            found.setdefault(label, []).append(alias)
    return found


def _served(adapter: Adapter, damaged: list[str]) -> str:
    if damaged:
        return ""
    try:
        found = memory.serving_set([adapter])
    except BadInput as error:  # of more rank than any server takes
        return error.what
    return f"{size(found.slot)} a slot at max-lora-rank {found.max_lora_rank}"


def _moved(adapter: Adapter, *, kl: bool = False) -> str:
    """How the general loss moved: 2.310 → 2.450; empty where it was not measured."""
    about = adapter.metadata
    if about.general_loss_before is None or about.general_loss is None:
        return ""
    said = f"{about.general_loss_before:.3f} → {about.general_loss:.3f}"
    return f"{said}, KL {about.general_kl:.3f} per token" if kl and about.general_kl is not None else said


def _result(item: Report, label: str) -> dict[str, object]:
    is_tuned = report.named(item.tuned) == label
    own, other = item.tallies[report.TUNED], item.tallies[report.BASELINE]
    (passed, of), (others, of_others) = (own, other) if is_tuned else (other, own)
    against = item.baseline if is_tuned else item.tuned
    return {
        "id": item.id,
        "suite": item.suite,
        "created": item.created,
        "passed": passed,
        "answers": of,
        "prompts": item.result.prompts,
        "against": against,
        "their_passed": others,
        "their_answers": of_others,
        "verdict": item.verdict,
        "gates": msgspec.to_builtins(item.gates) if is_tuned else [],
    }


def _told(item: Report, label: str) -> str:
    found = _result(item, label)
    return (
        f"{item.suite}: passes {found['passed']} of {found['answers']}, "
        f"{found['against']} {found['their_passed']} of {found['their_answers']}. {found['verdict']}"
    )


def _data(adapter: Adapter, pointing: Mapping[str, list[str]], tagged: tuple[str, ...]) -> dict[str, object]:
    data: dict[str, object] = msgspec.to_builtins(adapter.metadata)
    return {
        "label": adapter.label,
        "folder": str(adapter.folder),
        **data,
        "aliases": pointing.get(adapter.label, []),
        "tags": tagged,
        "file_bytes": memory.file_bytes(adapter.folder),
    }


def _buried(item: Tombstone) -> dict[str, object]:
    return {"label": item.label, **msgspec.to_builtins(item), "removed": True}


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
