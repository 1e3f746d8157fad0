"""`lora-tui suites`: the prompts that `verify` asks, and what their answers must show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import NUMBER, Cli, json_option, pass_cli, table
from lora_tui.jobs.checks import verdict
from lora_tui.jobs.journal import Check
from lora_tui.verify import code_checks
from lora_tui.verify.suites import checking as suite_checking
from lora_tui.verify.suites import drafts as suite_drafts
from lora_tui.verify.suites import editing as suite_editing
from lora_tui.verify.suites import suite
from lora_tui.verify.suites.checking import Finding
from lora_tui.verify.suites.suite import Suite
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput


@click.group("suites", cls=Group)
def group() -> None:
    """The prompts that `verify` asks, with what their answers must show."""


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List the suites: the shipped ones and your own in the workspace's profiles/suites."""
    rows: list[dict[str, object]] = []
    for name, path in suite.suite_paths(cli.workspace).items():
        found, problems = suite_checking.examined(path)
        rows.append(
            {
                "name": name,
                "prompts": len(found.cases) if found else None,
                "description": found.description if found else f"cannot be read: {problems[0].what}",
                "path": str(path),
                "own": path.is_relative_to(cli.workspace.profiles),
            }
        )
    cli.emit(
        rows,
        lambda: table(
            [(row["name"], row["prompts"], "own" if row["own"] else "shipped", row["description"]) for row in rows],
            ("suite", "prompts", "from", "about"),
            right=(1,),
        ),
    )


@group.command("check")
@click.argument("suites", nargs=-1)
@json_option
@pass_cli
def check(cli: Cli, suites: tuple[str, ...]) -> None:
    """Say what is wrong with SUITES (names or files; all without one), and what cannot be judged on this machine.

    Every mistake is told with its file and line. The exit code is 2 when there is one.
    """
    names = suites or tuple(suite.suite_paths(cli.workspace))
    results = [(name, *suite_checking.examined(suite.suite_path(cli.workspace, name))) for name in names]
    cli.emit(
        [
            {
                "suite": name,
                "ok": found is not None,
                "prompts": len(found.cases) if found else None,
                "findings": msgspec.to_builtins(findings),
            }
            for name, found, findings in results
        ],
        lambda: "\n".join(line for result in results for line in _lines(*result)),
    )
    if wrong := [name for name, found, _ in results if found is None]:
        raise BadInput(f"{', '.join(wrong)} cannot be used", fix="Mend what is told above.")


def _lines(name: str, found: Suite | None, findings: list[Finding]) -> Iterator[str]:
    if found is not None:
        yield f"{name}: {len(found.cases)} prompts, no mistake"
    for item in findings:
        yield f"{item.where}: {item.what}" if item.level == "error" else f"  {item.what}"


@group.command("try")
@click.argument("name")
@click.argument("prompt", type=NUMBER)
@click.argument("answer", type=click.File("r", encoding="utf-8"), default="-")
@json_option
@pass_cli
def try_(cli: Cli, name: str, prompt: int, answer: TextIO) -> None:
    """Try the expectations of prompt number PROMPT of the suite NAME on a text: a file, or what is piped in.

    Code in it is run in the sandbox. The exit code is 0 when it passes, 1 when it fails or nothing could be judged.
    """
    cases = suite.load_suite(cli.workspace, name).cases
    if prompt > len(cases):
        raise BadInput(f"{name} has {len(cases)} prompts", fix="Give the number of one of them.")
    case = cases[prompt - 1]
    try:
        text = answer.read()
    except UnicodeDecodeError as error:
        raise BadInput(f"the answer cannot be read: {error}", where=answer.name) from error
    checks = code_checks.checked(case.expectations, text)
    said = verdict(checks, case.threshold)
    cli.emit(
        {"suite": name, "prompt": case.prompt, "verdict": said, "checks": msgspec.to_builtins(checks)},
        lambda: "\n".join([*map(_check_line, checks), f"together: {said}"]),
    )
    click.get_current_context().exit(0 if said == "passed" else 1)


def _check_line(item: Check) -> str:
    mark = "·" if item.not_run else "✓" if item.passed else "✗"
    why = f"not run: {item.not_run}" if item.not_run else item.detail
    return f"{mark} {item.expectation}{f': {why}' if why else ''}"


@group.command("new")
@click.argument("name")
@click.option("--dataset", metavar="NAME", help="Make it of this dataset's held-out test examples: rust, rust@3.")
@click.option("--from-test", "count", type=NUMBER, metavar="N", help="How many of them; 20 when not said.")
@json_option
@pass_cli
def new(cli: Cli, name: str, dataset: str | None, count: int | None) -> None:
    """Begin a suite: a commented skeleton in the workspace, or one made of a dataset's test examples.

    NAME is a name, or a file that ends in .yaml. Nothing that is there is written over.
    """
    if count is not None and dataset is None:
        raise BadInput("--from-test needs a dataset", fix="Name one with --dataset NAME.")
    path = _place(cli, name)
    if dataset is None:
        text = suite_drafts.skeleton(name)
    else:
        from lora_tui.dataset import versions

        text = suite_drafts.from_test(versions.find(cli.workspace, dataset), count or 20)
    atomic.write_text(path, text)
    made = suite.read_suite(path)
    cli.emit(
        {"name": made.name, "path": str(path), "prompts": len(made.cases)},
        f"{path}: {len(made.cases)} prompts. Write into it, then: lora-tui suites check {name}",
    )


def _place(cli: Cli, name: str) -> Path:
    path = Path(name) if name.endswith((".yaml", ".yml")) else suite_editing.place_of(cli.workspace, name)
    if path.exists():
        raise BadInput("there is a suite already", where=str(path), fix="Give another name, or remove it first.")
    return path
