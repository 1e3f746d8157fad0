"""An Ollama model of our own GGUF, which has the chat template and the right rope in it.

Ollama converts safetensors itself, and loses the chat template of transformers 5's folders, reads Qwen2's rope as 0 and
takes adapters of two architectures only: it is never given any.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from lora_tui.adapters.exporting import quantize, source
from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.exporting.checking import Verdict
from lora_tui.adapters.exporting.comparing import compare
from lora_tui.adapters.exporting.gguf_files import is_written_here
from lora_tui.adapters.exporting.making import Made, full_width, make_adapter_file, make_model_file
from lora_tui.adapters.exporting.modelfile import check_name, modelfile, settings
from lora_tui.adapters.exporting.ollama_api import Ollama, Status
from lora_tui.adapters.exporting.samples import NEW_TOKENS, PROMPTS
from lora_tui.adapters.exporting.source import Unasked
from lora_tui.adapters.exporting.work import Work, refuse_existing, scratch
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.jobs.job import Export
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import LoraTuiError

_HALF = "-half-"  # in the name of a model that is not checked yet


def make_ollama(work: Work, job: Export, base: Base, adapter: PeftFolder | None) -> Made:
    """A model at Ollama, or a Modelfile with its GGUF beside it where `job.output` names one. Raises LoraTuiError."""
    check_name(job.model)
    settings(job.parameters)
    if job.output:
        return _written(work, job, base, adapter)
    kind = quantize.named(job.type or full_width(base))
    by_ollama = kind if kind in quantize.OLLAMA and not is_written_here(kind) else ""
    with Ollama(job.host) as ollama, ExitStack() as stack:
        ollama.version()
        model = stack.enter_context(scratch(work.folder / "model.gguf", work.folder))
        laid = stack.enter_context(scratch(work.folder / "adapter.gguf", work.folder))
        own = full_width(base) if by_ollama else kind
        in_file = _files(work, job, base, adapter, (model, laid), own)
        work.stage("send to Ollama")
        fields: dict[str, Any] = {"files": {"model.gguf": ollama.upload(model, work.advance)}}
        size = model.stat().st_size
        if laid.exists():
            fields["adapters"] = {"adapter.gguf": ollama.upload(laid, work.advance)}
            size += laid.stat().st_size
        if by_ollama:
            fields["quantize"] = by_ollama
        with _tried_under_another_name(ollama, job.model) as tried:
            ollama.create(tried, fields, lambda status: _tell(work, status))
            there = _check(work, base, adapter, ollama, tried, kind)
            _name(work, ollama, job, tried)
    checked = in_file.checked and there.checked
    words = f"the GGUF {in_file.words}; the model {there.words}"
    return Made("ollama", job.model, size, kind, checked, words)


def _name(work: Work, ollama: Ollama, job: Export, tried: str) -> None:
    """Give the model its name, and the system prompt and parameters that its source knows nothing of."""
    more: dict[str, Any] = {"system": job.system} if job.system else {}
    if job.parameters:
        more["parameters"] = settings(job.parameters)
    if more:
        ollama.create(job.model, {"from": tried, **more}, lambda status: _tell(work, status))
    else:
        ollama.copy(tried, job.model)


def _written(work: Work, job: Export, base: Base, adapter: PeftFolder | None) -> Made:
    """Modelfile and GGUF, for an Ollama that is elsewhere."""
    kind = quantize.named(job.type or full_width(base))
    output = Path(job.output)
    name = job.model.replace("/", "-").replace(":", "-")
    model, laid = output.with_name(f"{name}.gguf"), output.with_name(f"{name}-adapter.gguf")
    for path in (output, model, laid):
        refuse_existing(path)
    text = modelfile(
        model.name, laid.name if job.adapter_only and adapter else "", job.system, job.parameters
    )  # refused before hours of work
    try:
        found = _files(work, job, base, adapter, (model, laid), kind)
        atomic.write_text(output, text)
    except BaseException:
        model.unlink(missing_ok=True)
        laid.unlink(missing_ok=True)
        raise
    size = sum(path.stat().st_size for path in (model, laid) if path.exists())
    return Made("ollama", str(output), size, kind, found.checked, found.words)


def _files(
    work: Work, job: Export, base: Base, adapter: PeftFolder | None, files: tuple[Path, Path], kind: str
) -> Verdict:
    """The model's GGUF, merged, or the base's and the adapter's."""
    model, laid = files
    if not job.adapter_only or adapter is None:
        return make_model_file(work, model, base, adapter, kind, job.adapter_name or job.base_name)
    make_model_file(work, model, base, None, kind, job.base_name, check=False)
    return make_adapter_file(work, laid, base, adapter, job.adapter_name, on=model, kind=kind)


@contextmanager
def _tried_under_another_name(ollama: Ollama, name: str) -> Iterator[str]:
    """A name to make the model under first: the one it is to have may be in use. It goes with the block."""
    model, _, tag = name.partition(":")
    for left in ollama.models():
        if left.startswith(f"{model}{_HALF}"):
            with suppress(LoraTuiError):
                ollama.delete(left)
    tried = f"{model}{_HALF}{secrets.token_hex(3)}" + (f":{tag}" if tag else "")
    try:
        yield tried
    finally:
        with suppress(LoraTuiError):
            ollama.delete(tried)


def _tell(work: Work, status: Status) -> None:
    if status.total:
        work.advance(status.completed, status.total)
    else:
        work.stage(f"Ollama: {status.status}")


def _check(work: Work, base: Base, adapter: PeftFolder | None, ollama: Ollama, model: str, kind: str) -> Verdict:
    """Ask the model what its source was asked. Raises LoraTuiError where it says something else."""
    try:
        said = source.say(work, source.asked(base, adapter.folder if adapter is not None else None), source.SOURCE)
    except Unasked as error:
        return Verdict(False, f"not checked: {error}")
    work.stage("ask the model in Ollama")
    heard = []
    for number, (prompt, written) in enumerate(zip(PROMPTS, said.answers, strict=True)):
        answer, read = ollama.answer(model, prompt, NEW_TOKENS)
        if read is not None and read > len(written.prompt_tokens):  # fewer: some were in its cache
            raise LoraTuiError(
                f"Ollama reads {read} tokens where the source reads {len(written.prompt_tokens)}",
                where=model,
                fix="Its template or tokenizer differs: name another --type, or report this.",
            )
        heard.append(answer)
        work.advance(number + 1, len(PROMPTS))
    ollama.unload(model)
    return Verdict(True, f"loaded in Ollama; {compare(said, [], heard, kind).words}")
