"""The command line's door: global options, lazy command groups, errors in two lines.

A command's module is imported when that command runs: `--version`, `--help` and completion cost no more than click.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading

import click
from click.shell_completion import CompletionItem

from lora_tui import __version__
from lora_tui.cli.groups import path_of
from lora_tui.cli.output import Cli, safe
from lora_tui.workspace.errors import LoraTuiError

INTERRUPTED = 130

# name -> (module under lora_tui.cli, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "app": ("app", "Open the app (what `lora-tui` alone does on a terminal)."),
    "ingest": ("ingest", "Read the sessions your coding agent recorded."),
    "capture": ("capture", "Keep the system prompt and the tools your agent really sends."),
    "mine": ("mine", "Take in the commits of git repositories that are worth learning from."),
    "sessions": ("sessions", "List and show recorded conversations."),
    "examples": ("examples", "List and show training candidates with their language evidence."),
    "label": ("label", "Accept, reject, skip, relabel, flag, note, tag; undo; agreement and progress."),
    "augment": ("augment", "Make examples for a language that has few: real code, requests written for it."),
    "queue": ("queue", "Freeze a list of examples to decide about; show how far it is."),
    "dedupe": ("dedupe", "Show examples that are almost the same."),
    "redact": ("redact", "Say where a file holds secrets or personal data, never which."),
    "dataset": ("dataset", "Build immutable dataset versions from accepted examples."),
    "profiles": ("profiles", "The recipes of the specialists."),
    "plan": ("plan", "What a training run would do, before it does it."),
    "train": ("train", "Fine-tune a specialist on a dataset."),
    "backends": ("backends", "Where to train: this machine, Together AI, a rented GPU, your own host."),
    "export": ("export", "An adapter for llama.cpp, Ollama, vLLM; a training job for dstack or SkyPilot."),
    "sweep": ("sweep", "Train with several settings, one after another, and compare."),
    "runs": ("runs", "List, watch, stop and resume runs."),
    "rented": ("rented", "Machines by the hour: offers, what runs, and giving back what was left."),
    "hosts": ("hosts", "Your own machines that a run can be trained on, reached by SSH."),
    "adapters": ("adapters", "The trained adapters and their versions."),
    "serve": ("serve", "Serve a base and its adapters to your agent, on this machine."),
    "promote": ("promote", "Make a version of an adapter what its name means, under load."),
    "rollback": ("rollback", "Make a name mean the version before again."),
    "opencode": ("opencode", "The specialists in your opencode's settings: diff, apply, revert; print for others."),
    "together": ("together", "Bases, files, jobs, adapters and endpoints at Together AI."),
    "suites": ("suites", "The prompts that verify asks, with what their answers must show: list, check, new."),
    "verify": ("verify", "Does the fine-tune beat its baseline? Prompt by prompt."),
    "reports": ("reports", "Earlier verification reports."),
    "vote": ("vote", "Say which of two answers is better, without knowing whose they are."),
    "judge": ("judge", "Have a model say which answers are better, in both orders; how far it agrees with people."),
    "cycle": ("cycle", "What is new becomes a dataset, an adapter, and what production means, if it is better."),
    "doctor": ("doctor", "Check this machine: engine, GPU, disk, agent histories."),
    "demo": ("demo", "The whole loop on bundled sessions and a tiny model. No download, no GPU."),
    "paths": ("paths", "Where lora-tui keeps its files."),
    "completion": ("completion", "Print the completion script of a shell."),
}


class Commands(click.Group):
    """The table above as a click group that imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; it exports `group` or `command`."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"lora_tui.cli.{COMMANDS[cmd_name][0]}")
        found: click.Command = getattr(module, "group", None) or module.command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help's list of commands, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the table, an option by click."""
        names = [CompletionItem(name, help=row[1]) for name, row in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", message="lora-tui %(version)s")
@click.option(
    "--workspace",
    metavar="FOLDER",
    help="The workspace folder; else $LORA_TUI_WORKSPACE, else the data folder of your platform.",
)
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@click.pass_context
def cli(context: click.Context, workspace: str | None, no_mouse: bool) -> None:
    """From the sessions you had with your coding agent to a fine-tuned specialist, without leaving the terminal.

    Without a command, on a terminal, the app opens.
    """
    context.ensure_object(Cli).named = workspace
    if context.invoked_subcommand is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            click.echo(context.get_help())
            context.exit(2)
        from lora_tui.cli.app import open_app

        open_app(context.obj.workspace, mouse=not no_mouse)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 failure, 2 bad input, 3 undecided gates, 130 interrupt."""
    shared = Cli()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)
    try:
        result = cli.main(args=arguments, prog_name="lora-tui", standalone_mode=False, obj=shared)
    except LoraTuiError as error:
        first, *rest = safe(str(error)).splitlines() or [""]
        click.echo(f"error: {first}", err=True)
        for line in rest:
            click.echo(f"  {line}", err=True)
        return error.exit_code
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        message = error.format_message()
        path = path_of(error.ctx) if error.ctx is not None else "lora-tui"
        click.echo(f"error: {message[:1].lower()}{message[1:].rstrip('.')}\n  See: {path} --help", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:  # the reader of our output went away (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        return _crashed(shared)
    return result if isinstance(result, int) else 0


def _terminated(number: int, _: object) -> None:
    """End as an exception does: what holds a temporary folder or a half-written file lets it go."""
    raise SystemExit(128 + number)


def _crashed(shared: Cli) -> int:
    """A bug: the traceback goes to a file, the person gets one line."""
    import traceback

    error = sys.exc_info()[1]
    try:
        log = shared.workspace.logs / "lora-tui.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            traceback.print_exception(error, file=file)
        shared.say(f"error: this is a bug in lora-tui: {error!r}\n  The traceback is in {log}.")
    except (OSError, RuntimeError):  # the folder cannot be written, or `~name` has no home
        traceback.print_exc()
    return 1
