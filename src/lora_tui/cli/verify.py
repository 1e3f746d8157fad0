"""`lora-tui verify`: does the fine-tune beat its baseline?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from lora_tui.cli.output import AMOUNT, NUMBER, Amount, Cli, Number, json_option, pass_cli
from lora_tui.cli.runs_follow import finish, watch
from lora_tui.cli.verify_text import AnswerLines, refuse_unless_passed, summary
from lora_tui.jobs import supervisor
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.verify.reports import junit, report
from lora_tui.verify.reports.report import Report
from lora_tui.verify.running import run
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.profiles import Verification, load_profile


class Concurrency(click.ParamType[int]):
    """`auto`, which is 0, or how many requests may be in flight."""

    name = "auto|N"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number a person typed."""
        return 0 if value in ("auto", 0) else Number(1, 1024).convert(value, param, ctx)


@click.command("verify")
@click.argument("suite", required=False, default="")
@click.option("--baseline", required=True, metavar="E", help="What the fine-tune is compared with.")
@click.option("--tuned", required=True, metavar="E", help="The fine-tune.")
@click.option(
    "--other", "others", multiple=True, metavar="E", help="A further model, shown beside them; again for more."
)
@click.option("--samples", type=NUMBER, metavar="K", help="Answers to each prompt; else as many as the suite says.")
@click.option(
    "--temperature", type=Amount(zero=True, most=10), help="0 is greedy; else 0 with one sample, 0.7 with several."
)
@click.option("--seed", type=Number(0), default=0, show_default=True, help="Sample i of a prompt has seed + i.")
@click.option("--max-tokens", type=NUMBER, help="Of an answer; else as the profile says, else 256.")
@click.option(
    "--concurrency", type=Concurrency(), default="auto", show_default=True, help="Requests in flight for each endpoint."
)
@click.option(
    "--timeout", type=AMOUNT, metavar="SECONDS", help="Without a word for so long, an endpoint hangs; else as its kind."
)
@click.option("--fresh", is_flag=True, help="Ask everything anew: take no answer kept from an earlier run.")
@click.option("--judge", default="", metavar="E", help="Who reads what `llm-rubric` asks; else nobody does.")
@click.option(
    "--gate", "gates", multiple=True, metavar="TEXT", help='What must hold, as in "success >= 90 %"; again for more.'
)
@click.option("--profile", metavar="NAME", help="Take its suite, its gates and its max_tokens.")
@click.option(
    "--junit", "junit_file", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML there too."
)
@click.option("--detach", is_flag=True, help="Return at once; it goes on by itself either way.")
@json_option
@pass_cli
def command(
    cli: Cli,
    suite: str,
    baseline: str,
    tuned: str,
    others: tuple[str, ...],
    samples: int | None,
    temperature: float | None,
    seed: int,
    max_tokens: int | None,
    concurrency: int,
    timeout: float | None,
    fresh: bool,
    judge: str,
    gates: tuple[str, ...],
    profile: str | None,
    junit_file: Path | None,
    detach: bool,
) -> None:
    """Ask every prompt of SUITE of both endpoints, check the answers, and say what that proves.

    \b
    An endpoint E is one of
      adapter:NAME@V       a version here, answered by transformers in a process of its own
      base:PATH            a model folder or Hugging Face id, the same way
      vllm:URL#MODEL       a model or an adapter of a vLLM server: vllm:http://host:8000#coder
      llama-cpp:URL        a llama.cpp server; with #ADAPTER one of its adapters
      ollama:MODEL         a model of the Ollama at $OLLAMA_HOST
      together:MODEL       at Together, with $TOGETHER_API_KEY
      openai:URL#MODEL     any other server with /chat/completions, with $OPENAI_API_KEY

    The exit code is 1 where a gate fails, or an answer could not be had; 3 where a gate stays undecided.
    """
    wanted = load_profile(cli.workspace, profile).verification if profile else Verification()
    if not (suite or wanted.suite):
        raise BadInput("there is no suite to ask", fix="Name one, or a --profile that does: lora-tui suites list")
    if junit_file is not None and detach:
        raise BadInput("--junit waits for the end, --detach does not", fix="Later: lora-tui reports export ID --junit")
    started = run.create(
        cli.workspace,
        suite or wanted.suite,
        baseline,
        tuned,
        max_tokens or wanted.max_tokens,
        others=others,
        samples=samples or 0,
        temperature=temperature,
        seed=seed,
        at_once=concurrency,
        timeout=timeout or 0.0,
        fresh=fresh,
        gates=(*wanted.gates, *gates),
        profile=profile or "",
        judge=judge,
    )
    supervisor.start(started)
    if detach:
        finish(cli, started, detach=True)
        return
    made = _watched(cli, started)
    cli.emit(msgspec.to_builtins(made), lambda: summary(made))
    if junit_file is not None:
        atomic.write_text(junit_file, junit.xml(made))
    refuse_unless_passed(made)


def _watched(cli: Cli, started: Run) -> Report:
    view = RunView(started)
    lines = AnswerLines()
    try:
        for event in watch(view):
            if line := lines.line(event):
                cli.say(line)
    except KeyboardInterrupt:
        cli.say(f"\nno longer watching; {started.id} goes on. `lora-tui runs stop {started.id}` ends it.")
        raise
    if view.state != "finished":
        fix = f"What was answered is kept: lora-tui runs resume {started.id}."
        raise LoraTuiError(view.failure or f"the verification was {view.state}", where=started.id, fix=fix)
    return report.load(cli.workspace.reports / started.id)
