"""`lora-tui capture`: what the user's agents really send to their model."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from lora_tui.cli.groups import Group
from lora_tui.cli.output import Cli, ago, json_option, pass_cli, table
from lora_tui.sources.opencode.capture import Capture, captures, load_capture, save_capture


@click.group("capture", cls=Group)
def group() -> None:
    """The exact system prompt and tools of your agents, so that examples look like what the agent will see."""


@group.command("opencode")
@click.option("--agent", required=True, metavar="NAME", help="The agent, as `opencode agent list` names it.")
@click.option("--opencode", "program", default="", metavar="PATH", help="opencode's program; else on the PATH.")
@click.option(
    "--project",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="A project whose own agents and instructions count too.",
)
@click.option("--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True, metavar="SECONDS")
@json_option
@pass_cli
def opencode(cli: Cli, agent: str, program: str, project: Path | None, timeout: float) -> None:
    """Start your opencode once against a model on this machine, and keep the prompt and the tools it sends.

    It runs in a throw-away copy of its settings: none of your files is written to, and nothing leaves the machine.
    """
    from lora_tui.sources.opencode.capture_run import capture_agent, find_program

    found = capture_agent(agent, find_program(program), project=project, seconds=timeout)
    path = save_capture(cli.workspace, found)
    cli.emit({**_as_data(found), "file": str(path)}, f"{_as_text(found)}\n{path}")


@group.command("list")
@json_option
@pass_cli
def list_(cli: Cli) -> None:
    """List the captured agents."""
    found = captures(cli.workspace)
    cli.emit(
        {"captures": [_as_data(one) for one in found]},
        lambda: table(
            [
                (one.agent, one.version, len(one.system), len(one.tools), ago(one.captured * 1000), one.sha256[:12])
                for one in found
            ],
            ("agent", "opencode", "prompt", "tools", "age", "sha256"),
            empty="no agent captured yet: lora-tui capture opencode --agent NAME",
        ),
    )


@group.command("show")
@click.argument("agent")
@json_option
@pass_cli
def show(cli: Cli, agent: str) -> None:
    """Show the system prompt and the tools of a captured agent."""
    found = load_capture(cli.workspace, agent)
    cli.emit(msgspec.to_builtins(found), lambda: f"{_as_text(found)}\n\n{found.system}")


def _as_data(found: Capture) -> dict[str, object]:
    return {
        "agent": found.agent,
        "version": found.version,
        "captured": found.captured,
        "system_characters": len(found.system),
        "tool_bytes": found.tool_bytes,
        "tools": found.tool_names,
        "sha256": found.sha256,
    }


def _as_text(found: Capture) -> str:
    return (
        f"{found.agent} of opencode {found.version or '(unknown version)'}: a system prompt of {len(found.system):,} "
        f"characters, {len(found.tools)} tools of {found.tool_bytes:,} bytes\n"
        f"tools: {', '.join(found.tool_names) or 'none'}"
    )
