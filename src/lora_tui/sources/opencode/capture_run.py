"""Running the user's opencode once against a model on loopback, to hear what it sends.

Provider settings and credentials never come near the capture: only the messages and tools of one request are kept.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import msgspec

from lora_tui.sources.opencode.capture import DIRECTORY, Capture, captured
from lora_tui.sources.opencode.capture_place import Place, make_place
from lora_tui.sources.opencode.capture_server import AGENT, DELEGATED, SMALL, Listener
from lora_tui.workspace.errors import BadInput, LoraTuiError

_GRACE = 5.0  # seconds opencode gets to leave by itself, and to end what it started
_PROMPT = "Say ok."
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def find_program(named: str = "") -> Path:
    """opencode's program: `named`, else on the PATH, else where its installer puts it. Raises BadInput."""
    found = shutil.which(named or "opencode") or shutil.which(Path.home() / ".opencode" / "bin" / "opencode")
    if found is None or (named and shutil.which(named) is None):
        raise BadInput(
            f"there is no program {named!r}" if named else "opencode is not installed, or not on the PATH",
            fix="Give its path: lora-tui capture opencode --agent NAME --opencode PATH",
        )
    return Path(found).absolute()


def capture_agent(agent: str, program: Path, *, project: Path | None = None, seconds: float = 60.0) -> Capture:
    """The system prompt and tools of this agent, of a subagent too.

    Raises BadInput when opencode knows no such agent, LoraTuiError when it fails or takes longer than `seconds`.
    """
    if project is not None and not project.is_dir():
        raise BadInput("there is no such folder", where=str(project))
    with tempfile.TemporaryDirectory(prefix="lora-tui-capture-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve()
        try:
            place = make_place(root, os.environ, project)
        except OSError as error:
            raise LoraTuiError(
                f"opencode's settings cannot be copied: {error.strerror}", where=str(error.filename or "")
            ) from error
        run = _Run(program, place, place.environment(os.environ), time.monotonic() + seconds)
        version = run.version()
        request, warning = run.ask(agent)
        if "subagent" in warning:  # only another agent can call it
            request, warning = run.ask(agent, delegated=True)
        if warning:
            raise BadInput(f"opencode says: {warning}", fix="See your agents with: opencode agent list")
    system, tools = _parts(request, place)
    return captured(agent, version, system, tools, time.time())


class _Run:
    """Starts of one opencode in one throw-away home, all before `deadline`."""

    def __init__(self, program: Path, place: Place, environment: dict[str, str], deadline: float) -> None:
        self._program = str(program)
        self._place = place
        self._environment = environment
        self._deadline = deadline

    def version(self) -> str:
        """What `opencode --version` says."""
        with self._started(["--version"], self._environment) as (process, output):
            self._wait(process)
            return _lines(output)[-1:][0] if process.returncode == 0 and _lines(output) else ""

    def ask(self, agent: str, delegated: bool = False) -> tuple[dict[str, Any], str]:
        """The request that the agent sends, and opencode's word that it took another agent ('' if it did not)."""
        listener = Listener(delegate_to=agent if delegated else "")
        content = _configuration(listener, agent if delegated else "", self._environment)
        environment = {**self._environment, "OPENCODE_CONFIG_CONTENT": content}
        chosen = [] if delegated else ["--agent", agent]
        arguments = ["run", *chosen, "--model", f"capture/{AGENT}", "--", _PROMPT]
        with listener.listening(), self._started(arguments, environment) as (process, output):
            while not listener.heard.wait(0.05):
                if process.poll() is not None:
                    break
                if time.monotonic() > self._deadline:
                    raise self._too_slow()
            if not listener.heard.is_set():
                raise LoraTuiError(
                    f"opencode ended without asking a model: {_reason(output)}",
                    where=self._program,
                    fix="Try the same agent with: opencode run --agent NAME hello",
                )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            fallback = [line for line in _lines(output) if "alling back" in line and "agent" in line]
            return listener.request, fallback[0].lstrip("! ") if fallback else ""

    @contextlib.contextmanager
    def _started(self, arguments: list[str], environment: dict[str, str]) -> Any:
        """opencode as the leader of its own session; whatever of it is still there at the end is killed."""
        with tempfile.TemporaryFile(dir=self._place.root) as output:
            try:
                process = subprocess.Popen(
                    [self._program, *arguments],
                    cwd=self._place.project,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise BadInput(f"opencode cannot be started: {error.strerror}", where=self._program) from error
            try:
                yield process, output
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._too_slow() from None

    def _too_slow(self) -> LoraTuiError:
        return LoraTuiError(
            "opencode took too long", where=self._program, fix="Try again, with more time: --timeout SECONDS."
        )


def _configuration(listener: Listener, delegate_to: str, environment: dict[str, str]) -> str:
    """What is put over the user's configuration: our provider, and nobody else's."""
    models = {
        name: {"name": name, "tool_call": True, "limit": {"context": 200_000, "output": 4_096}}
        for name in (AGENT, DELEGATED, SMALL)
    }
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "capture",
        "options": {"baseURL": listener.url, "apiKey": listener.key},
        "models": models,
    }
    ours: dict[str, Any] = {
        "provider": {"capture": provider},
        "enabled_providers": ["capture"],
        "disabled_providers": [],
        "small_model": f"capture/{SMALL}",
        "share": "disabled",
        "autoupdate": False,
    }
    if delegate_to:
        ours["agent"] = {delegate_to: {"model": f"capture/{DELEGATED}"}}
    theirs = environment.get("OPENCODE_CONFIG_CONTENT", "")
    try:
        merged = _merged(msgspec.json.decode(theirs, type=dict[str, Any]) if theirs.strip() else {}, ours)
    except msgspec.DecodeError:
        raise BadInput(
            "$OPENCODE_CONFIG_CONTENT is not JSON", fix="Correct it, or unset it for this command."
        ) from None
    return msgspec.json.encode(merged).decode()


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    found = dict(under)
    for key, value in over.items():
        below = found.get(key)
        found[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return found


def _parts(request: dict[str, Any], place: Place) -> tuple[str, list[dict[str, Any]]]:
    messages = request.get("messages", [])
    system = "\n".join(
        message["content"]
        for message in messages
        if message.get("role") == "system" and isinstance(message.get("content"), str)
    )
    tools: list[dict[str, Any]] = _told(request.get("tools") or [], place)
    return place.told(system, DIRECTORY), tools


def _told(value: Any, place: Place) -> Any:
    match value:
        case str():
            return place.told(value, DIRECTORY)
        case list():
            return [_told(item, place) for item in value]
        case dict():
            return {key: _told(item, place) for key, item in value.items()}
        case _:
            return value


def _lines(output: IO[bytes]) -> list[str]:
    output.seek(0)
    text = _COLOURS.sub("", output.read().decode(errors="replace"))
    return [line.strip() for line in text.splitlines() if line.strip()]


def _reason(output: IO[bytes]) -> str:
    """One line of what it said; further ones may quote the user's configuration."""
    lines = _lines(output)
    named = [line for line in lines if line.startswith("Error")]
    return (named or lines or ["it said nothing"])[0][:200]
