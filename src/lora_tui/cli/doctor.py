"""`lora-tui doctor`: is everything there that the work needs?"""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
from typing import Any

import click

from lora_tui.backends import engines
from lora_tui.backends.hardware import machine
from lora_tui.cli.output import Cli, json_option, pass_cli
from lora_tui.workspace.errors import LoraTuiError

_ENGINE = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
_LOW_DISK = 5 * 1024**3


@click.command("doctor")
@click.option("--endpoint", "endpoints", multiple=True, metavar="E", help="As `verify` takes it; who really answers?")
@json_option
@pass_cli
def command(cli: Cli, endpoints: tuple[str, ...]) -> None:
    """Check this machine: Python, SQLite, engine, GPUs, memory, disk, workspace, agents' histories.

    With --endpoint also who answers there: its engine, the names it serves, what to know before comparing with it.
    Exit code 1 when something that is needed is missing.
    """
    checks = [
        _python(),
        _sqlite(),
        _engine(),
        _unsloth(cli),
        *_machine(cli),
        _workspace(cli),
        *_histories(),
        *_rented(cli),
        *(_endpoint(cli, name) for name in endpoints),
    ]
    cli.emit(checks, lambda: _text(checks))
    if any(item["state"] == "missing" for item in checks):
        raise click.exceptions.Exit(1)


def _text(checks: list[dict[str, Any]]) -> str:
    width = max(len(item["what"]) for item in checks)
    lines = []
    for item in checks:
        lines.append(f"{item['state']:<8} {item['what']:<{width}}  {item['found']}")
        if item["fix"]:
            lines.append(f"{'':<8} {'':<{width}}  → {item['fix']}")
    return "\n".join(lines)


def _check(state: str, what: str, found: object, fix: str = "") -> dict[str, Any]:
    return {"state": state, "what": what, "found": str(found), "fix": fix}


def _python() -> dict[str, Any]:
    good = sys.version_info >= (3, 11)
    return _check("ok" if good else "missing", "Python", sys.version.split()[0], "" if good else "3.11 or newer")


def _sqlite() -> dict[str, Any]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (x)")
        return _check("ok", "SQLite with FTS5", sqlite3.sqlite_version)
    except sqlite3.Error:
        return _check("missing", "SQLite with FTS5", sqlite3.sqlite_version, "a Python whose SQLite has FTS5")
    finally:
        connection.close()


def _engine() -> dict[str, Any]:
    gone = [name for name in _ENGINE if importlib.util.find_spec(name) is None]
    if gone:
        return _check("missing", "training engine", f"without {', '.join(gone)}", "pip install 'lora-tui[train]'")
    from importlib.metadata import version

    return _check("ok", "training engine", ", ".join(f"{name} {version(name)}" for name in _ENGINE))


def _unsloth(cli: Cli) -> dict[str, Any]:
    found = engines.unsloth(cli.workspace)
    told = f"{found.version} in {found.python}" if found.version else found.python
    if found.lacks:
        return _check("note", "engine unsloth", f"{told}: {found.lacks}" if told else found.lacks, found.fix)
    return _check("ok", "engine unsloth", told)


def _machine(cli: Cli) -> list[dict[str, Any]]:
    host = machine(cli.workspace.root)
    gib = 1024**3
    checks = [
        _check(
            "ok", "memory", f"{host.ram_available / gib:.1f} of {host.ram_total / gib:.1f} GiB free, {host.cores} cores"
        )
    ]
    if host.gpus:
        checks += [_check("ok", "GPU", f"{gpu.name}, {gpu.memory_total / gib:.1f} GiB") for gpu in host.gpus]
    else:
        checks.append(_check("note", "GPU", "none", "small models train on the CPU; larger ones need a GPU host"))
    low = host.disk_free < _LOW_DISK
    checks.append(
        _check(
            "note" if low else "ok",
            "disk",
            f"{host.disk_free / gib:.1f} GiB free",
            "checkpoints need room" if low else "",
        )
    )
    return checks


def _workspace(cli: Cli) -> dict[str, Any]:
    try:
        cli.workspace.connection()
    except LoraTuiError as error:
        return _check("missing", "workspace", error.what, error.fix)
    return _check("ok", "workspace", cli.workspace.root)


def _rented(cli: Cli) -> list[dict[str, Any]]:
    """Machines that cost and that no run works on; providers without a key are not asked, and not named."""
    from lora_tui.backends.renting import sweep
    from lora_tui.backends.renting.provider import KEYS, NAMES, provider
    from lora_tui.workspace.keys import has_key

    checks = []
    for name in NAMES:
        if not has_key(KEYS[name]):
            continue
        try:
            found = sweep.rented(cli.workspace, [provider(name, patience=1)])
        except LoraTuiError as error:
            checks.append(_check("note", f"rented from {name}", error.what, error.fix))
            continue
        left = sum(not one.held for one in found)
        told = f"{len(found)} machine{'s' if len(found) > 1 else ''}" if found else "nothing"
        state, fix = ("note", f"{left} of them without a run: lora-tui rented sweep") if left else ("ok", "")
        checks.append(_check(state, f"rented from {name}", told, fix))
    return checks


def _endpoint(cli: Cli, name: str) -> dict[str, Any]:
    import asyncio
    import tempfile
    from pathlib import Path

    from lora_tui.verify.endpoints import check_name, opened

    check_name(cli.workspace, name)  # which never repeats a secret; what passes holds none

    async def who() -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="lora-tui-") as logs:
            async with opened(cli.workspace, [name], Path(logs)) as [endpoint]:
                found = await endpoint.identify()
        told = [" ".join([found.engine, found.version]).strip(), f"answers as {found.model}"]
        told += [f"serves {len(found.served)} names"] * (len(found.served) > 1)
        told += [f"{found.slots} requests at once"] * bool(found.slots)
        sure = found.proven and not found.notes
        return _check("ok" if sure else "note", name, ", ".join(told), "; ".join(found.notes))

    try:
        return asyncio.run(who())
    except LoraTuiError as error:
        return _check("missing", name, error.what, error.fix)


def _histories() -> list[dict[str, Any]]:
    """What `lora-tui ingest --all` would read; a machine without any is no fault."""
    from lora_tui.sources.discover import discover

    found = discover()
    if not found.found:
        return [_check("note", "histories", "none found", "give their paths: lora-tui ingest --path PATH")]
    return [
        _check(
            "ok",
            f"{place.source} history",
            f"{place.where}" + ("" if place.sessions is None else f", sessions: {place.sessions:,}"),
        )
        for place in found.found
    ]
