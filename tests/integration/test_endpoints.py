"""The same questions of every engine: real ones, and the services' fakes that answer from a real llama.cpp."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from asking_endpoints import asked, endpoint
from fakes.ollama import FakeOllama
from fakes.together import KEY, together_server
from llama_servers import llama_server
from lora_tui.adapters import registry
from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.exporting.gguf_files import write_adapter, write_model
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.adapters.registry import Metadata
from lora_tui.jobs.job import load_job
from lora_tui.verify.asking import Endpoint, EndpointFault, Question
from lora_tui.verify.endpoints import Patience, opened
from lora_tui.verify.reports import report
from lora_tui.verify.running import run
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from serving_sets import register
from tiny_models import LONGEST, PROMPTS, SAYS, TinyModels

pytestmark = pytest.mark.engine
LONG = Patience()


@pytest.fixture(scope="module")
def files(tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """GGUFs: the base and the two adapters."""
    folder = tmp_path_factory.mktemp("gguf")
    made = {name: folder / f"{name}.gguf" for name in ("tiny", "lora-a", "lora-b")}
    with Base(tiny_models.base) as base:
        write_model(made["tiny"], base, None, "f16")
        for which in "ab":
            with PeftFolder(tiny_models.adapter(which)) as adapter:
                write_adapter(made[f"lora-{which}"], base, adapter)
    time.sleep(2)  # a server that starts now has what the files hold
    return made


@pytest.fixture(scope="module")
def both(files: dict[str, Path]) -> Iterator[str]:
    """One llama.cpp with both adapters, off."""
    with llama_server(files["tiny"], [files["lora-a"], files["lora-b"]], parallel=4, scale=0.0) as url:
        yield url


async def answers(workspace: Workspace, name: str) -> dict[str, str]:
    """The greedy answer to every prompt."""
    async with endpoint(workspace, name, LONG) as one:
        await one.identify()
        return {prompt: (await asked(one, prompt, max_tokens=LONGEST))[0].strip() for prompt in PROMPTS}


def register_with_tokens(workspace: Workspace, models: TinyModels, name: str) -> None:
    """The adapter "a" as one that was trained with tokens of its own."""

    def fill(draft: Path) -> None:
        shutil.copytree(models.lora_a, draft, dirs_exist_ok=True)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(models.base / file, draft / file)

    registry.add(workspace, Metadata(name=name, base=str(models.base)), fill)


async def drawn(one: Endpoint, seed: int) -> str:
    """An answer that is not the likeliest."""
    question = Question("Hello", max_tokens=12, temperature=1.5, seed=seed)
    return "".join([piece async for piece in one.ask(question) if isinstance(piece, str)])


async def test_transformers_answers_for_a_base_and_its_adapters_from_one_process_that_ends(
    workspace: Workspace, tiny_models: TinyModels, tmp_path: Path
) -> None:
    """An adapter with tokens of its own has a process of its own."""
    register(workspace, tiny_models, "a", name="coder")
    register(workspace, tiny_models, "b", name="coder")
    register_with_tokens(workspace, tiny_models, "own")
    names = [f"base:{tiny_models.base}", "adapter:coder@1.0.0", "adapter:coder", "adapter:own"]
    told: list[str] = []
    async with opened(workspace, names, tmp_path, tell=told.append) as (*found, own):
        base = tiny_models.base.name
        assert told == [f"load {base} with coder@1.0.0, coder@1.1.0", f"load {base} with own@1.0.0"]
        identities = [await one.identify() for one in found]
        assert len({one.address for one in found}) == len({one.pid for one in identities}) == 1
        assert len({one.digest for one in identities}) == 3
        assert all(one.digest and one.engine == "transformers" and one.slots == 1 for one in identities)
        for one, which in zip(found, ("base", "a", "b"), strict=True):
            for prompt in PROMPTS:
                text, end = await asked(one, prompt, max_tokens=LONGEST)
                assert text.strip() == tiny_models.golden[which][prompt]
                assert (end.stopped, end.counted) == (True, False)
        mixed = await asyncio.gather(*(asked(one, "Hello", max_tokens=LONGEST) for one in found * 3))
        wanted = [tiny_models.golden["base"]["Hello"], SAYS["a"], SAYS["b"]] * 3
        assert [text.strip() for text, _ in mixed] == wanted
        cut = (await asked(found[0], max_tokens=2))[1]
        assert (cut.finish, cut.tokens, cut.prompt_tokens > 5) == ("length", 2, True)
        assert await drawn(found[0], 7) == await drawn(found[0], 7) != await drawn(found[0], 8)
        picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
        async with httpx.AsyncClient(base_url=f"http://{found[0].address}") as client:
            refused = await client.post("/v1/chat/completions", json={"messages": picture})
        assert (refused.status_code, "reads text only" in refused.text) == (400, True)
        alone = await own.identify()
        assert own.address != found[0].address
        assert alone.served == ("own@1.0.0",)
        assert (await asked(own, max_tokens=LONGEST))[0].strip() == SAYS["a"]
    assert not psutil.pid_exists(identities[0].pid)
    assert not psutil.pid_exists(alone.pid)
    assert len(list(tmp_path.glob("worker-*.log"))) == 2


async def test_a_base_that_cannot_be_loaded_says_why(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoraTuiError, match=r"transformers does not start: .*cannot load the base") as caught:
        async with opened(workspace, [f"base:{tmp_path / 'empty'}"], tmp_path):
            pass
    assert Path(caught.value.where).is_file()


def test_a_worker_ends_when_who_started_it_is_killed(
    workspace: Workspace, tiny_models: TinyModels, tmp_path: Path
) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from lora_tui.verify.endpoints import opened\n"
        "from lora_tui.workspace.layout import Workspace\n"
        "async def main(root, name):\n"
        "    async with opened(Workspace(pathlib.Path(root)), [name], pathlib.Path(root)) as [one]:\n"
        "        print((await one.identify()).pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main(*sys.argv[1:]))\n"
    )
    words = [sys.executable, "-c", program, str(workspace.root), f"base:{tiny_models.base}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        worker = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
    worker.wait(20)


@pytest.mark.parametrize(("name", "which"), [("lora-a", "a"), ("lora-b", "b"), ("base", "base"), ("", "base")])
@pytest.mark.parametrize("kind", ["llama-cpp", "openai"])
async def test_llama_cpp_answers_by_the_adapter_that_is_named(
    workspace: Workspace, tiny_models: TinyModels, both: str, kind: str, name: str, which: str
) -> None:
    named = f"llama-cpp:{both}#{name}" if kind == "llama-cpp" else f"openai:{both}/v1#{name or 'tiny'}"
    assert await answers(workspace, named) == tiny_models.golden[which]


async def test_two_adapters_and_the_base_of_one_llama_cpp_do_not_mix_when_asked_together(
    workspace: Workspace, tiny_models: TinyModels, both: str, tmp_path: Path
) -> None:
    names = [f"llama-cpp:{both}#{name}" for name in ("lora-a", "lora-b", "base")]
    async with opened(workspace, names, tmp_path) as found:
        identities = [await one.identify() for one in found]
        assert len({one.address for one in found}) == 1
        assert len({one.digest for one in identities} - {""}) == 3
        assert all(one.slots == 4 and one.pid and one.proven for one in identities)
        turns = [
            (one, which, prompt) for prompt in PROMPTS for one, which in zip(found, ("a", "b", "base"), strict=True)
        ]
        said = await asyncio.gather(*(asked(one, prompt, max_tokens=LONGEST) for one, _, prompt in turns * 4))
    wrong = [
        (which, prompt, text)
        for (_, which, prompt), (text, _) in zip(turns * 4, said, strict=True)
        if text.strip() != tiny_models.golden[which][prompt]
    ]
    assert wrong == []
    assert all(end.generating is not None and end.prompt_tokens for _, end in said)


async def test_llama_cpp_with_one_adapter_each_is_asked_as_it_is_set(
    workspace: Workspace, tiny_models: TinyModels, files: dict[str, Path]
) -> None:
    with llama_server(files["tiny"], [files["lora-b"]]) as url:
        assert await answers(workspace, f"llama-cpp:{url}") == tiny_models.golden["b"]
        assert await answers(workspace, f"llama-cpp:{url}#base") == tiny_models.golden["base"]
        async with endpoint(workspace, f"llama-cpp:{url}") as one:
            assert (await one.identify()).notes == ("with the server's own adapter scales: lora-b at 1",)


@pytest.mark.parametrize("named", ["llama-cpp:{}#nobody", "openai:{}/v1#nobody", "vllm:{}#nobody"])
async def test_a_name_that_llama_cpp_would_answer_to_all_the_same_is_refused(
    workspace: Workspace, both: str, named: str
) -> None:
    async with endpoint(workspace, named.format(both), LONG) as one:
        with pytest.raises(EndpointFault, match="does not serve nobody") as caught:
            await one.identify()
    assert caught.value.code == "wrong-model"
    assert "tiny" in caught.value.fix


async def test_a_prompt_that_does_not_fit_is_refused_in_the_servers_words(workspace: Workspace, both: str) -> None:
    async with endpoint(workspace, f"llama-cpp:{both}#base", LONG) as one:
        with pytest.raises(EndpointFault, match="exceeds the available context size") as caught:
            await asked(one, "word " * 3000)
    assert (caught.value.code, caught.value.again) == ("refused", False)


async def test_a_file_that_changed_since_its_server_started_leaves_no_digest(
    workspace: Workspace, files: dict[str, Path], both: str
) -> None:
    async with endpoint(workspace, f"llama-cpp:{both}#lora-a") as one, endpoint(workspace, f"llama-cpp:{both}") as base:
        before = (await one.identify()).digest
        assert before == (await one.identify()).digest != ""
        os.utime(files["lora-a"])
        assert (await one.identify()).digest == ""
        assert (await base.identify()).digest != ""


async def test_ollama_answers_by_its_own_interface_and_tells_what_a_request_waited(
    workspace: Workspace,
    tiny_models: TinyModels,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FakeOllama(tmp_path / "ollama") as fake:
        monkeypatch.setenv("OLLAMA_HOST", fake.url)
        fake.models["coder:latest"] = {"model": files["tiny"], "adapter": files["lora-a"]}
        fake.models["plain:1"] = {"model": files["tiny"], "parameters": {"num_ctx": 512}}
        assert await answers(workspace, "ollama:coder") == tiny_models.golden["a"]
        assert await answers(workspace, "ollama:plain:1") == tiny_models.golden["base"]
        assert await answers(workspace, f"openai:{fake.url}/v1#coder") == tiny_models.golden["a"]
        async with endpoint(workspace, "ollama:plain:1", LONG) as one:
            found = await one.identify()
            assert (found.engine, found.version, found.served) == ("ollama", "0.33.0", ("coder:latest", "plain:1"))
            assert found.digest
            end = (await asked(one, max_tokens=LONGEST))[1]
            assert (end.stopped, end.counted, end.model) == (True, False, "plain:1")
            assert end.generating == pytest.approx(0.003)
            assert end.queued == pytest.approx(0.004)
            asked_for = fake.chats[-1]
            assert (asked_for["options"]["num_ctx"], asked_for["truncate"], asked_for["shift"]) == (512, False, False)
            with pytest.raises(EndpointFault, match="at least 900 tokens, and the context 512") as caught:
                await asked(one, "word " * 1000)
            assert caught.value.code == "truncated-prompt"
        async with endpoint(workspace, "ollama:nobody", LONG) as one:
            with pytest.raises(EndpointFault, match="does not serve nobody") as caught:
                await one.identify()
            assert "coder:latest" in caught.value.fix


async def test_together_answers_under_the_name_of_an_endpoint_and_of_a_public_model(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with together_server() as fake:
        monkeypatch.setenv("TOGETHER_API_KEY", KEY)
        monkeypatch.setenv("TOGETHER_BASE_URL", fake.url)
        fake.serving.chats = {"me/coder": "I am me/coder", "Qwen/Qwen2.5-7B-Instruct": "I am public"}
        for name, text in fake.serving.chats.items():
            async with endpoint(workspace, f"together:{name}") as one:
                found = await one.identify()
                assert (found.engine, found.proven, found.digest) == ("together", True, "")
                assert found.served == ("Qwen/Qwen2.5-7B-Instruct",)
                said, end = await asked(one)
                assert (said, end.finish, end.counted, end.model) == (text, "stop", False, name)
        async with endpoint(workspace, "together:me/nobody") as one:
            with pytest.raises(EndpointFault, match="Unable to access model me/nobody") as caught:
                await one.identify()
            assert caught.value.code == "wrong-model"
        async with endpoint(workspace, "together:me/coder") as one:
            fake.fail("chat", 429)
            with pytest.raises(EndpointFault) as caught:
                await one.identify()
            assert (caught.value.code, caught.value.wait) == ("rate-limited", pytest.approx(0.05))
            assert KEY not in str(caught.value)


def test_one_suite_is_asked_of_every_engine_and_an_adapter_answers_alike_in_all(
    workspace: Workspace,
    files: dict[str, Path],
    both: str,
    tiny_models: TinyModels,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(workspace, tiny_models, "a", name="coder")
    suite = tmp_path / "same.yaml"
    tests = [{"vars": {"prompt": prompt}, "assert": [{"type": "contains", "value": SAYS["a"]}]} for prompt in PROMPTS]
    suite.write_text(json.dumps({"tests": tests}))
    others = [f"llama-cpp:{both}#lora-a", f"llama-cpp:{both}#lora-b", f"llama-cpp:{both}#base"]
    with FakeOllama(tmp_path / "ollama") as ollama, together_server() as together:
        monkeypatch.setenv("OLLAMA_HOST", ollama.url)
        ollama.models["coder:latest"] = {"model": files["tiny"], "adapter": files["lora-a"]}
        monkeypatch.setenv("TOGETHER_API_KEY", KEY)
        monkeypatch.setenv("TOGETHER_BASE_URL", together.url)
        together.serving.chats = {"me/coder": SAYS["a"]}
        names = (f"base:{tiny_models.base}", "adapter:coder@1.0.0")
        made = run.create(workspace, str(suite), *names, LONGEST, others=[*others, "ollama:coder", "together:me/coder"])
        run.run(made.folder, load_job(made.folder / "job.toml"))
    found = report.load(workspace.reports / made.id)
    said = {side.label: [item.answers[side.label][0].text.strip() for item in found.outcomes] for side in found.sides}
    golden = {which: [tiny_models.golden[which][prompt] for prompt in PROMPTS] for which in ("base", "a", "b")}
    assert said["baseline"] == said["other 3"] == golden["base"]
    assert said["tuned"] == said["other 1"] == said["other 4"] == said["other 5"] == golden["a"]
    assert said["other 2"] == golden["b"]
    engines = ["transformers", "transformers", "llama.cpp", "llama.cpp", "llama.cpp", "ollama", "together"]
    assert [side.engine for side in found.sides] == engines
    assert all(side.proven for side in found.sides)
    assert found.tallies == {"baseline": (0, len(PROMPTS)), "tuned": (len(PROMPTS), len(PROMPTS))}
