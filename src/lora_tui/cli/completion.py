"""`lora-tui completion`: the shell's completion script."""

from __future__ import annotations

import click

from lora_tui.cli.output import Cli, json_option, pass_cli


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@pass_cli
@click.pass_context
def command(context: click.Context, cli: Cli, shell: str) -> None:
    """Print the completion script of SHELL, to be sourced: eval "$(lora-tui completion bash)"."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root().command
    script = kind(root, {}, "lora-tui", "_LORA_TUI_COMPLETE").source()
    cli.emit({"shell": shell, "script": script}, script)
