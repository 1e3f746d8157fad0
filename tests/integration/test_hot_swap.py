"""Versions change under clients that are being answered, by a real llama.cpp."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

import killed
from hot_swap import assert_all_counted, assert_nobody_noticed, changed_under_load
from lora_tui.adapters import aliases, registry
from lora_tui.adapters.registry import Metadata
from lora_tui.adapters.serving import blank, sets, starting, status
from lora_tui.adapters.serving.promote import promote, rollback
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from serving_sets import chat, figures, register, said, serving, stream, until, url
from tiny_models import SAYS, TinyModels

pytestmark = pytest.mark.engine
CLIENTS = 40


async def test_forty_streaming_clients_do_not_notice_five_promotions_and_two_rollbacks(
    workspace: Workspace, tiny_models: TinyModels
) -> None:
    """No request fails, no answer is of two versions, and none is by an older version than when it was asked."""
    says = {}
    for number in range(6):
        which = "ab"[number % 2]
        says[register(workspace, tiny_models, which, version=f"1.{number}.0").label] = SAYS[which]
    with serving(workspace, tiny_models.base, ["coder@1.0.0"]) as one:
        story = await changed_under_load(workspace, one, "coder", CLIENTS)
        assert len(story.answers) > 3 * CLIENTS
        assert_nobody_noticed(story, says)
        assert_all_counted(one, story)


async def test_a_killed_engine_is_a_clear_error_that_passes_and_every_request_is_counted(
    workspace: Workspace, tiny_models: TinyModels
) -> None:
    """The engine is killed under eight clients; then the router itself; no request is missing in the figures."""
    register(workspace, tiny_models, "a", version="1.0.0")
    with serving(workspace, tiny_models.base, ["coder"]) as one:
        answers, going = [], True

        async def client(connection: httpx.AsyncClient) -> None:
            while going:
                answers.append(await stream(connection, url(one), "coder", most=64))
                await asyncio.sleep(0.02)

        part = next(part for part in status.of(one).parts if "coder" in part.name)
        assert part.pid is not None
        async with httpx.AsyncClient(timeout=60, verify=False) as connection:
            clients = [asyncio.create_task(client(connection)) for _ in range(8)]
            await asyncio.sleep(0.5)
            os.kill(part.pid, signal.SIGKILL)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(until, lambda: said_or_none(one) == SAYS["a"])
            again = time.monotonic()
            await asyncio.sleep(0.5)
            going = False
            await asyncio.gather(*clients)

        failed = [answer for answer in answers if answer.error]
        assert failed
        assert all("engine" in answer.error for answer in failed)
        assert [answer.error for answer in answers if answer.begun > again and answer.error] == []
        assert {answer.text.strip() for answer in answers if answer.done} == {SAYS["a"]}
        row = figures(one, "coder@1.0.0")
        assert row.errors >= len(failed)  # those of said_or_none too
        assert row.requests >= len(answers)
        before = status.of(one)
        state = one.state
        assert state is not None
        engines = [part.pid for part in before.parts if part.pid]

        os.kill(state.pid, signal.SIGKILL)
        until(lambda: not one.is_alive)
        assert status.of(one).state == "down"
        until(lambda: not any(psutil.pid_exists(pid) and _lives(pid) for pid in engines))
        starting.start(one)
        assert not Path(state.control).parent.exists()  # what the killed one left
        after = status.of(one)
        assert after.requests == before.requests
        assert figures(one, "coder@1.0.0").errors == row.errors
        assert figures(one, "coder@1.0.0").tokens == row.tokens
        assert said(chat(one, "coder")) == SAYS["a"]


def said_or_none(one: sets.Served) -> str:
    """The answer, or nothing while there is none."""
    response = chat(one, "coder")
    return said(response) if response.status_code == 200 else ""


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_a_version_that_is_damaged_or_does_nothing_is_refused_and_the_old_one_serves_on(
    workspace: Workspace, tiny_models: TinyModels, tmp_path: Path
) -> None:
    register(workspace, tiny_models, "a", version="1.0.0")
    damaged = register(workspace, tiny_models, "b", version="1.1.0")
    weights = damaged.folder / "adapter_model.safetensors"
    killed.make_removable(damaged.folder)
    weights.chmod(0o644)
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    def fill(draft: Path) -> None:
        blank.write(tmp_path / "blank", tiny_models.lora_a)
        shutil.copytree(tmp_path / "blank", draft, dirs_exist_ok=True)

    registry.add(workspace, Metadata(name="coder", version="1.2.0", base=str(tiny_models.base)), fill)
    aliases.point(workspace, "coder", aliases.PRODUCTION, "1.0.0")
    with serving(workspace, tiny_models.base, ["coder"]) as one:
        with pytest.raises(LoraTuiError, match=r"coder@1\.1\.0 is damaged: adapter_model\.safetensors"):
            promote(workspace, "coder@1.1.0")
        with pytest.raises(LoraTuiError, match=r"coder@1\.2\.0 loads without effect"):
            promote(workspace, "coder@1.2.0")
        assert aliases.aliases(workspace)["coder"] == {"production": "coder@1.0.0"}
        assert said(chat(one, "coder")) == SAYS["a"]
        until(lambda: all("1.2.0" not in part.name for part in status.of(one).parts))  # what was refused goes again

        done = promote(workspace, "coder@1.2.0", force=True)
        assert any("without effect" in words for words in done.warnings)
        assert said(chat(one, "coder")) == tiny_models.golden["base"]["Hello"]
        assert rollback(workspace, "coder").version == "coder@1.0.0"
        assert said(chat(one, "coder")) == SAYS["a"]


def test_a_promotion_that_is_killed_leaves_the_old_version_or_the_new_one(
    workspace: Workspace, tiny_models: TinyModels
) -> None:
    """Without a server, at each step on the disk."""
    for number, which in enumerate("aba"):
        register(workspace, tiny_models, which, version=f"1.{number}.0")
    promote(workspace, "coder@1.0.0")
    promote(workspace, "coder@1.1.0")
    old = {"production": "coder@1.1.0", "standby": "coder@1.0.0"}
    new = {"production": "coder@1.2.0", "standby": "coder@1.1.0"}
    steps = 0
    for _ in killed.at_every_step(workspace.root, lambda: promote(workspace, "coder@1.2.0")):
        steps += 1
        assert aliases.aliases(workspace)["coder"] in (old, new)
    assert steps > 2
    assert aliases.aliases(workspace)["coder"] == new
    assert rollback(workspace, "coder").version == "coder@1.1.0"


def test_a_server_carries_out_what_a_killed_promotion_had_decided(
    workspace: Workspace, tiny_models: TinyModels
) -> None:
    """The one who promotes is killed at some moment; then what is served is what the alias says."""
    for number, which in enumerate("ab"):
        register(workspace, tiny_models, which, version=f"1.{number}.0")
    aliases.point(workspace, "coder", aliases.PRODUCTION, "1.0.0")
    with serving(workspace, tiny_models.base, ["coder"]) as one:
        for seconds, version in ((0.3, "1.1.0"), (0.6, "1.1.0"), (1.2, "1.0.0")):
            command = [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root)]
            child = subprocess.Popen([*command, "promote", f"coder@{version}"], stderr=subprocess.DEVNULL)
            time.sleep(seconds)
            child.kill()
            child.wait()
            now = aliases.aliases(workspace)["coder"]["production"]
            until(lambda now=now: chat(one, "coder").json()["model"] == now)
        aliases.point(workspace, "coder", aliases.PRODUCTION, "1.1.0")  # nobody told the server
        until(lambda: said(chat(one, "coder")) == SAYS["b"])


def test_a_share_of_conversations_goes_to_a_trial_and_each_stays_on_its_side(
    workspace: Workspace, tiny_models: TinyModels
) -> None:
    for number, which in enumerate("ab"):
        register(workspace, tiny_models, which, version=f"1.{number}.0")
    aliases.point(workspace, "coder", aliases.PRODUCTION, "1.0.0")
    with serving(workspace, tiny_models.base, ["coder"]) as one:
        from lora_tui.adapters.serving import control

        def sides() -> list[str]:
            asked = [chat(one, "coder", f"Say {number}.", max_tokens=1) for number in range(30)]
            return [response.json()["model"] for response in asked]

        control.ask(one, "share", label="coder@1.1.0", percent=50)
        first = sides()
        assert first == sides()
        assert 5 <= first.count("coder@1.1.0") <= 25
        control.ask(one, "share", label="coder@1.1.0", percent=100)
        assert set(sides()) == {"coder@1.1.0"}
        control.ask(one, "share", label="coder@1.1.0", percent=0)
        assert set(sides()) == {"coder@1.0.0"}


def test_an_engine_that_cannot_start_says_why_and_leaves_nothing_running(
    workspace: Workspace, tiny_models: TinyModels, tmp_path: Path
) -> None:
    register(workspace, tiny_models, "a", version="1.0.0")
    junk = tmp_path / "junk.gguf"
    junk.write_bytes(b"junk")
    with pytest.raises(LoraTuiError, match=r"llama\.cpp with tiny does not start"), serving(workspace, junk, ["coder"]):
        pass
    [one] = sets.served(workspace)
    assert not one.is_alive
    assert status.of(one).state == "failed"
    with pytest.raises(BadInput, match="is not served now"):
        from lora_tui.adapters.serving import control

        control.ask(one, "status")
