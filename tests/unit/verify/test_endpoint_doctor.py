"""`lora-tui doctor --endpoint`: who answers, before anything is compared."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner

from fakes.fault_server import fault_server
from lora_tui.cli.main import cli
from lora_tui.workspace.layout import Workspace


def doctor(workspace: Workspace, *endpoints: str) -> list[dict[str, Any]]:
    """What it says of the endpoints."""
    words = [word for name in endpoints for word in ("--endpoint", name)]
    found = CliRunner().invoke(cli, ["--workspace", str(workspace.root), "doctor", *words, "--json"])
    checks: list[dict[str, Any]] = json.loads(found.stdout)
    return [item for item in checks if item["what"] in endpoints]


def test_it_says_who_answers_what_is_not_proven_and_who_does_not(workspace: Workspace) -> None:
    with fault_server() as true, fault_server("any-name") as any_name:
        names = [f"openai:{true.url}#tuned", f"openai:{any_name.url}#tuned", f"openai:{true.url}#nobody"]
        good, unproven, gone = doctor(workspace, *names)
    assert (good["state"], good["found"]) == ("ok", "openai, answers as tuned, serves 2 names")
    assert unproven["state"] == "note"
    assert "answers to any name" in unproven["fix"]
    assert gone["state"] == "missing"
    assert "does not serve nobody" in gone["found"]
