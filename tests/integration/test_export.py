"""Exports as a person meets them: what is written, that it was loaded, and that nothing half remains."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

import exports_here
import killed
from exports_here import Exporter
from fakes.ollama import FakeOllama
from lora_tui.adapters.exporting import gguf_files, k_quants, making, source, work
from lora_tui.adapters.exporting.work import Stopping
from lora_tui.cli.main import run as lora_tui
from lora_tui.jobs.job import Export
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from tiny_models import TinyModels

pytestmark = pytest.mark.engine


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exporter:
    return exports_here.exporter(tmp_path, monkeypatch)


def _job(models: TinyModels, **more: Any) -> Export:
    given: dict[str, Any] = {
        "what": "gguf",
        "base": str(models.base),
        "base_name": "tiny",
        "adapter": str(models.lora_a),
        "adapter_name": "coder@1.0.0",
    }
    return Export(**given | more)


@pytest.fixture
def sharded(tiny_models: TinyModels, tmp_path: Path) -> Path:
    """The tiny base in bfloat16, in several files, its template in tokenizer_config.json alone."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = Path(shutil.copytree(tiny_models.base, tmp_path / "sharded"))
    (folder / "model.safetensors").unlink()
    model = AutoModelForCausalLM.from_pretrained(tiny_models.base, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="300KB")
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "LICENSE").write_text("Apache")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    return folder


def test_a_merged_folder_is_a_model_that_any_engine_reads(
    tiny_models: TinyModels, sharded: Path, export: Exporter, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    made = export(_job(tiny_models, what="merged", base=str(sharded), output=str(tmp_path / "out")))
    out = Path(made.output)
    assert made.checked
    assert "tokens of" in made.verdict
    assert "greedy text of 4 of 4 prompts" in made.verdict
    shards = sorted(path.name for path in sharded.glob("*.safetensors"))
    assert len(shards) > 2
    assert sorted(path.name for path in out.glob("*.safetensors")) == shards
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert index["weight_map"] == json.loads((sharded / "model.safetensors.index.json").read_text())["weight_map"]

    config = json.loads((out / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 10000
    settings = json.loads((out / "tokenizer_config.json").read_text())
    assert (out / "chat_template.jinja").read_text() == settings["chat_template"]
    assert (out / "generation_config.json").is_file()
    assert (out / "LICENSE").read_text() == "Apache"
    card = (out / "README.md").read_text()
    assert "base_model: tiny" in card
    assert "license: apache-2.0" in card
    assert "coder@1.0.0" in card

    weights = {key: value for path in sharded.glob("*.safetensors") for key, value in load_file(path).items()}
    lora = load_file(tiny_models.lora_a / "adapter_model.safetensors")
    merged = AutoModelForCausalLM.from_pretrained(out).state_dict()
    name = "model.layers.0.self_attn.q_proj"
    at = f"base_model.model.{name}.lora_"
    expected = weights[f"{name}.weight"].float() + 2.0 * (lora[f"{at}B.weight"] @ lora[f"{at}A.weight"])
    assert merged[f"{name}.weight"].dtype == torch.bfloat16
    assert torch.equal(merged[f"{name}.weight"], expected.to(torch.bfloat16))
    assert torch.equal(merged["model.norm.weight"], weights["model.norm.weight"])


def test_a_merged_folder_may_be_stored_wider(tiny_models: TinyModels, sharded: Path, export: Exporter) -> None:
    from safetensors.torch import load_file

    made = export(_job(tiny_models, what="merged", base=str(sharded), type="f32", output=str(sharded.parent / "w")))
    kept = [value for path in Path(made.output).glob("*.safetensors") for value in load_file(path).values()]
    assert {str(value.dtype) for value in kept} == {"torch.float32"}
    assert json.loads((Path(made.output) / "config.json").read_text())["dtype"] == "float32"


def test_an_adapter_alone_is_checked_on_its_base(tiny_models: TinyModels, export: Exporter, tmp_path: Path) -> None:
    made = export(_job(tiny_models, adapter_only=True, output=str(tmp_path / "lora.gguf")))
    assert made.checked
    assert "greedy text of 4 of 4 prompts" in made.verdict
    assert [path.name for path in tmp_path.glob("*.gguf")] == ["lora.gguf"]
    assert not list(tmp_path.glob(".*half*"))


def test_the_command_does_it_in_a_process_of_its_own_and_says_what_was_compared(
    tiny_models: TinyModels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    words = ["--workspace", str(workspace.root), "export", "gguf", str(tiny_models.lora_b)]
    words += ["--base", str(tiny_models.base), "--output", str(tmp_path / "b.gguf"), "--type", "Q8_0", "--json"]
    assert lora_tui(words) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["type"] == "q8_0"
    assert made["checked"] is True
    assert made["verdict"].startswith("loaded in llama.cpp; equal: tokens of")
    assert (tmp_path / "b.gguf").stat().st_size == made["bytes"]
    assert lora_tui(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert len(list(workspace.runs.iterdir())) == 1


def test_an_export_that_lost_its_adapter_is_noticed_and_not_kept(
    tiny_models: TinyModels, export: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(path: Path, base: Any, adapter: Any, kind: str, **more: Any) -> int:
        return gguf_files.write_model(path, base, None, kind, **more)

    monkeypatch.setattr(making, "write_model", without)
    with pytest.raises(LoraTuiError, match="answers otherwise than its source"):
        export(_job(tiny_models, type="f16", output=str(tmp_path / "out.gguf")))
    assert not list(tmp_path.glob("*.gguf"))
    assert not list(tmp_path.glob(".*half*"))


def test_without_the_engine_it_says_that_it_was_not_checked(
    tiny_models: TinyModels, export: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_ENGINE", ("no_such_module",))
    made = export(_job(tiny_models, type="f16", output=str(tmp_path / "out.gguf")))
    assert not made.checked
    assert made.verdict == "not checked: the engine is not installed: pip install 'lora-tui[train]'"
    assert (tmp_path / "out.gguf").is_file()


def test_a_request_to_stop_leaves_nothing_half(
    tiny_models: TinyModels, export: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = work.Work.advance

    def stop_halfway(self: work.Work, done: int, total: int) -> None:
        if done > total / 2:
            (self.folder / "stop").touch()
        advance(self, done, total)

    monkeypatch.setattr(work.Work, "advance", stop_halfway)
    for what, name in (("merged", "out"), ("gguf", "out.gguf")):
        with pytest.raises(Stopping):
            export(_job(tiny_models, what=what, output=str(tmp_path / "there" / name)))
    assert list((tmp_path / "there").iterdir()) == []


def test_what_a_killed_export_left_goes_with_the_next(
    tiny_models: TinyModels, export: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_ENGINE", ("no_such_module",))
    left = tmp_path / ".out.gguf.half-20260101-000000-export-abcd"
    left.write_bytes(b"half")
    export(_job(tiny_models, type="q4_0", output=str(tmp_path / "out.gguf")))
    assert not left.exists()


def test_a_full_disk_is_told_before_anything_is_written(
    tiny_models: TinyModels, export: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    for what in ("merged", "gguf"):
        with pytest.raises(LoraTuiError, match="GB are free"):
            export(_job(tiny_models, what=what, output=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_up_on_the_way_is_told_as_such_and_nothing_remains(
    tiny_models: TinyModels, export: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, to: Path) -> None:
        Path(to).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(to))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(LoraTuiError, match="the export cannot go on: No space left on device") as caught:
        export(_job(tiny_models, what="merged", output=str(tmp_path / "there" / "out")))
    assert "Free some space" in caught.value.fix
    assert list((tmp_path / "there").iterdir()) == []


def test_tokens_that_were_added_and_are_not_special_are_compared_too(
    tiny_models: TinyModels, export: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base with <tool_call> as Qwen has it; an export that takes it for plain text is not called done."""
    base = Path(shutil.copytree(tiny_models.base, tmp_path / "base"))
    core = json.loads((base / "tokenizer.json").read_text())
    word, index = min(core["model"]["vocab"].items(), key=lambda pair: -pair[1])
    given = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    core["model"]["merges"] = [pair for pair in core["model"]["merges"] if "".join(pair) != word]
    core["model"]["vocab"] = {key: value for key, value in core["model"]["vocab"].items() if key != word}
    core["added_tokens"].append({"id": index, "content": "<tool_call>", **given})
    (base / "tokenizer.json").write_text(json.dumps(core))
    job = _job(tiny_models, base=str(base), output=str(tmp_path / "out.gguf"))
    assert export(job).checked
    (tmp_path / "out.gguf").unlink()

    add = gguf_files.add_tokenizer

    def without(writer: Any, folder: Path, config: Any, library: Any) -> None:
        def types(found: list[int]) -> None:
            user = int(library.TokenType.USER_DEFINED)
            type(writer).add_token_types(
                writer, [int(library.TokenType.NORMAL) if one == user else one for one in found]
            )

        monkeypatch.setattr(writer, "add_token_types", types, raising=False)
        add(writer, folder, config, library)

    monkeypatch.setattr(gguf_files, "add_tokenizer", without)
    with pytest.raises(LoraTuiError, match="into other tokens"):
        export(job)
    assert not (tmp_path / "out.gguf").exists()


@pytest.fixture
def no_ggml(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without xllamacpp's library."""
    monkeypatch.setattr(k_quants, "_ggml", lambda: None)


@pytest.mark.usefixtures("no_ggml")
def test_k_quants_name_what_could_make_them(tiny_models: TinyModels, export: Exporter, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing here makes Q4_K_M") as caught:
        export(_job(tiny_models, type="q4_k_m", output=str(tmp_path / "out.gguf")))
    assert "llama-quantize" in caught.value.fix
    assert "llama-cpp-python" in caught.value.fix


@pytest.mark.usefixtures("no_ggml")
def test_k_quants_are_made_by_llama_quantize_where_it_is(
    tiny_models: TinyModels, export: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "llama-quantize"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$3 $4" > {tmp_path}/asked\ncp "$1" "$2"\n')  # no more than its command line
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    made = export(_job(tiny_models, type="q4_k_m", output=str(tmp_path / "out.gguf")))
    assert (tmp_path / "asked").read_text().split()[0] == "Q4_K_M"
    assert made.verdict.endswith("quantised by llama-quantize")
    assert sorted(path.name for path in tmp_path.glob("*gguf*")) == ["out.gguf"]


@pytest.fixture
def ollama(tmp_path: Path) -> Any:
    with FakeOllama(tmp_path / "ollama") as fake:
        yield fake


def test_ollama_that_ends_without_success_has_made_nothing(
    tiny_models: TinyModels, export: Exporter, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_ENGINE", ("no_such_module",))
    job = _job(tiny_models, what="ollama", model="coder", host=ollama.url, type="f16")
    ollama.cut = True
    with pytest.raises(LoraTuiError, match="ended without saying that the model is made"):
        export(job)
    ollama.cut, ollama.fails = False, "invalid file magic"
    with pytest.raises(LoraTuiError, match="invalid file magic"):
        export(job)
    assert ollama.models == {}
    ollama.fails = ""
    assert export(job).output == "coder"
    assert list(ollama.models) == ["coder:latest"]
    assert sum(line.startswith("POST /api/blobs") for line in ollama.asked) == 1  # the same bytes go there once


def test_an_ollama_model_that_answers_otherwise_does_not_take_the_name(
    tiny_models: TinyModels, export: Exporter, ollama: FakeOllama
) -> None:
    job = _job(tiny_models, what="ollama", model="coder", host=ollama.url, type="f16", adapter_only=True)
    export(job)
    before = dict(ollama.models["coder:latest"])
    ollama.answers_as_base = True
    with pytest.raises(LoraTuiError, match="answers otherwise"):
        export(_job(tiny_models, what="ollama", model="coder", host=ollama.url, type="q8_0", adapter_only=True))
    assert ollama.models == {"coder:latest": before}


@pytest.mark.usefixtures("no_ggml")
def test_ollama_makes_the_k_quants_that_nothing_else_here_can(
    tiny_models: TinyModels, export: Exporter, ollama: FakeOllama
) -> None:
    made = export(_job(tiny_models, what="ollama", model="coder", host=ollama.url, type="Q4_K_M"))
    assert made.type == "Q4_K_M"
    assert ollama.models["coder:latest"]["quantized"] == "Q4_K_M"


def test_without_ollama_the_way_to_start_it_is_told(tiny_models: TinyModels, export: Exporter) -> None:
    with pytest.raises(LoraTuiError, match="Ollama does not answer") as caught:
        export(_job(tiny_models, what="ollama", model="coder", host="http://127.0.0.1:9", type="f16"))
    assert "ollama serve" in caught.value.fix


def test_a_modelfile_is_written_with_its_files_beside(
    tiny_models: TinyModels, export: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_ENGINE", ("no_such_module",))
    output = tmp_path / "made" / "Modelfile"
    job = _job(
        tiny_models,
        what="ollama",
        model="coder:1.0.0",
        type="f16",
        adapter_only=True,
        output=str(output),
        system='Say "yes".',
        parameters=(("num_ctx", "8192"),),
    )
    export(job)
    assert output.read_text() == (
        'FROM ./coder-1.0.0.gguf\nADAPTER ./coder-1.0.0-adapter.gguf\nPARAMETER num_ctx 8192\nSYSTEM """Say "yes"."""\n'
    )
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "Modelfile",
        "coder-1.0.0-adapter.gguf",
        "coder-1.0.0.gguf",
    ]


def test_killed_at_any_step_the_output_is_whole_or_not_there(
    tiny_models: TinyModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_ENGINE", ("no_such_module",))
    place = tmp_path / "place"
    (place / "runs").mkdir(parents=True)

    def twice() -> None:
        do = exports_here.exporter(place, monkeypatch)
        do(_job(tiny_models, type="q8_0", output=str(place / "out.gguf")))
        do(_job(tiny_models, what="merged", output=str(place / "out")))

    whole: dict[str, int] = {}
    steps = 0
    for _ in killed.at_every_step(place, twice, every=3):
        steps += 1
        for name in ("out.gguf", "out"):
            if (place / name).exists():
                whole.setdefault(name, _bytes(place / name))
                assert _bytes(place / name) == whole[name]
    assert steps > 5
    assert _bytes(place / "out.gguf") == whole["out.gguf"]
    assert (place / "out" / "config.json").is_file()


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
