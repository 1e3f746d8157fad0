"""Stands in for opencode 1.18.33 as far as a capture sees it: run it as the program, with the same arguments.

What it does to its configuration folder, what it says of an agent it does not know, and the requests it sends are
those of the real one (tests/contract/test_capture.py runs the same checks against that). $FAKE_OPENCODE: 'hang', 'die'.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

AGENTS = {"build": "primary", "build-rust": "primary", "explore": "subagent"}
TOOLS = ["bash", "read", "task"]


def main() -> int:
    if sys.argv[1:] == ["--version"]:
        print("1.18.33")
        return 0
    mode = os.environ.get("FAKE_OPENCODE", "")
    if mode == "die":
        print(
            '\x1b[91mError: \x1b[0mthe configuration is not valid JSON\n  "apiKey": "not-to-be-shown"', file=sys.stderr
        )
        return 1
    if mode == "hang":
        time.sleep(600)
    if sys.argv[1:] == ["debug", "config"]:
        return _debug_config()
    _write_to_configuration()
    asked = sys.argv[sys.argv.index("--agent") + 1] if "--agent" in sys.argv else "build"
    agent = asked
    if AGENTS.get(asked) != "primary":
        reason = "is a subagent, not a primary agent" if asked in AGENTS else "not found"
        print(f'\x1b[93m\x1b[1m! \x1b[0m agent "{asked}" {reason}. Falling back to default agent', file=sys.stderr)
        agent = "build"
    config = json.loads(os.environ["OPENCODE_CONFIG_CONTENT"])
    assert config["enabled_providers"] == ["capture"]
    provider = config["provider"]["capture"]["options"]
    _ask(provider, config["small_model"], "You are a title generator.", [])
    calls = _ask(provider, "capture/agent", _system(agent, "capture/agent"), TOOLS)
    for call in calls:
        wanted = json.loads(call["function"]["arguments"])["subagent_type"]
        model = config["agent"][wanted]["model"]
        _ask(provider, model, _system(wanted, model), TOOLS[:-1])
    return 0


def _debug_config() -> int:
    """The merged settings with the agents' files over them, as `opencode debug config` prints them; keys are hidden."""
    folder = Path(os.environ["XDG_CONFIG_HOME"]) / "opencode"
    named = os.environ.get("OPENCODE_CONFIG")
    files = [folder / name for name in ("config.json", "opencode.json", "opencode.jsonc")]
    files += [Path(named)] if named else []
    files += [inside / name for inside in (Path(), Path(".opencode")) for name in ("opencode.json", "opencode.jsonc")]
    config: dict[str, Any] = {"agent": {}}
    for file in filter(Path.exists, files):
        try:
            config = _merged(config, _jsonc(file.read_text(encoding="utf-8-sig")))
        except ValueError:
            print(f"\x1b[91mError: \x1b[0mConfig file at {file} is not valid JSON(C): ", file=sys.stderr)
            print("--- JSONC Input ---\n", file.read_text(), file=sys.stderr)
            return 1
    for inside in (folder, Path(".opencode")):
        for file in sorted([*inside.glob("agent/*.md"), *inside.glob("agents/*.md")]):
            _, head, body = file.read_text().split("---", 2)
            config = _merged(config, {"agent": {file.stem: {**yaml.safe_load(head), "prompt": body.strip()}}})
    for provider in config.get("provider", {}).values():
        if "apiKey" in provider.get("options", {}):
            provider["options"]["apiKey"] = "***"
    print(json.dumps(config, indent=2))
    return 0


def _jsonc(text: str) -> dict[str, Any]:
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|.', text, re.S)
    plain = "".join(" " if part.startswith(("//", "/*")) else part for part in parts)
    strings: list[str] = []
    held = re.sub(r'"(?:[^"\\]|\\.)*"', lambda found: strings.append(found[0]) or f"\0{len(strings) - 1}\0", plain)
    held = re.sub(r"([^{\[,\s]\s*),(\s*[}\]])", r"\1\2", held)
    data: dict[str, Any] = json.loads(re.sub(r"\0(\d+)\0", lambda found: strings[int(found[1])], held))
    return data


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(under[key], value) for key, value in over.items() if isinstance(under.get(key), dict)}
    return {**under, **over, **both}


def _write_to_configuration() -> None:
    folder = Path(os.environ["XDG_CONFIG_HOME"]) / "opencode"
    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_text("node_modules\n")
    file = folder / "opencode.json"
    data = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({"$schema": "https://opencode.ai/config.json", **data}))
    database = os.environ["OPENCODE_DB"]
    if database != ":memory:":
        (Path(os.environ["XDG_DATA_HOME"]) / database).write_text("a database")


def _system(agent: str, model: str) -> str:
    prompt = Path(os.environ["XDG_CONFIG_HOME"], "opencode", "agent", f"{agent}.md")
    first = prompt.read_text() if prompt.exists() else f"You are {agent}."
    instructions = Path("AGENTS.md")
    return "\n".join(
        [
            first,
            f"You are powered by the model named {model.partition('/')[2]}. The exact model ID is {model}",
            f"  Working directory: {os.getcwd()}",
            "  Today's date: Fri Nov 20 2026",
            f"  Skills: {os.environ['XDG_CONFIG_HOME']}/opencode/skills and {os.environ['HOME']}/notes",
            instructions.read_text() if instructions.exists() else "",
        ]
    )


def _ask(provider: dict[str, str], model: str, system: str, tools: list[str]) -> list[dict[str, Any]]:
    """Send one request; returns the tool calls of the answer."""
    body = {
        "model": model.partition("/")[2],
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": "Say ok."}],
        "stream": True,
    }
    if tools:
        body["tools"] = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in tools]
    request = urllib.request.Request(
        provider["baseURL"] + "/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {provider['apiKey']}", "Content-Type": "application/json"},
    )
    calls: list[dict[str, Any]] = []
    with urllib.request.urlopen(request, timeout=10) as answer:
        for line in answer:
            if line.startswith(b"data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    calls += choice["delta"].get("tool_calls", [])
    return calls


if __name__ == "__main__":
    sys.exit(main())
