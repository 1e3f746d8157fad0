"""Against forgetting: what is measured, what holds a run back, what is mixed in and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.jobs import forgetting, journal, supervisor
from lora_tui.jobs.job import Prompt, Train
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.profiles import Forgetting, Profile

pytestmark = pytest.mark.engine

SNOW = Prompt(prompt="What is snow?", expectations=(("contains", "white"),))


def trained(run: Run) -> RunView:
    """The run, trained to its end in this process: one load of the engine serves every test here."""
    from lora_tui.worker.requests import Requests
    from lora_tui.worker.train import train

    assert isinstance(run.file.job, Train)
    log = journal.Journal(run.journal)
    try:
        train(run.file.job, run.folder, log, Requests(run.folder))
    finally:
        log.close()
    return RunView.of(run)


@pytest.fixture
def short(small_profile: Profile) -> Callable[..., Profile]:
    """The small profile with one epoch of five steps, and a [forgetting] of its own."""

    def make(**wish: Any) -> Profile:
        training = msgspec.structs.replace(small_profile.training, num_train_epochs=1.0)
        wish = {"measure": False} | wish
        return msgspec.structs.replace(small_profile, training=training, forgetting=Forgetting(**wish))

    return make


def notes(run: Run) -> list[str]:
    return [event.message for event in journal.JournalReader(run.journal).read() if isinstance(event, journal.Note)]


def factors(run: Run) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(run.folder / "adapter" / "adapter_model.safetensors")
    return found


def test_measuring_and_answering_change_no_bit_of_the_training(
    new_run: Callable[..., Run], short: Callable[..., Profile]
) -> None:
    import torch

    plain = trained(new_run(profile=short()))
    watched = trained(new_run(profile=short(measure=True), samples=(SNOW,)))
    assert [item.loss for item in watched.metrics] == [item.loss for item in plain.metrics]
    before, after = factors(plain.run), factors(watched.run)
    assert all(torch.equal(before[name], after[name]) for name in before)

    first, *_, last = watched.general
    assert (first.step, last.step) == (0, 5)
    assert first.kl == 0.0
    assert last.kl is not None
    assert last.kl > 0.0
    assert first.rows == last.rows == 60
    assert last.start == first.loss
    assert watched.forgotten == last.loss - first.loss
    assert plain.general == []
    assert [step for step, _, of in watched.pass_rates() if of == 1] == [0, 5]


def test_what_is_measured_is_the_models_own_loss_on_the_general_answers(
    new_run: Callable[..., Run], short: Callable[..., Profile], tmp_path: Path, tiny_base: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    said = [("What is grass?", "Grass is green."), ("Hello!", "Hello! How can I help?"), ("1 + 1?", "It is two.")]
    chats = tmp_path / "general.jsonl"
    chats.write_text("".join(json.dumps({"prompt": ask, "completion": say}) + "\n" for ask, say in said))
    view = trained(new_run(profile=short(measure=True), general=str(chats)))

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base)
    total, count = 0.0, 0
    for ask, say in said:
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": ask}], tokenize=False, add_generation_prompt=True
        )
        head = tokenizer(asked, add_special_tokens=False)["input_ids"]
        whole = tokenizer(asked + say + "<|im_end|>\n", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            scores = torch.log_softmax(model(torch.tensor([whole])).logits[0].float(), -1)
        for at in range(len(head), len(whole)):
            total -= float(scores[at - 1, whole[at]])
            count += 1
    assert view.general[0].rows == 3
    assert view.general[0].loss == pytest.approx(total / count, rel=1e-4)


def test_forgetting_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    start = journal.General(step=0, loss=2.31, kl=0.0, rows=60, start=2.31)
    after = journal.General(step=9, loss=2.45, kl=0.08, rows=60, start=2.31)
    assert forgetting.words(start) == "general loss 2.310 before training"
    assert forgetting.words(after) == "general loss 2.310 → 2.450 (+0.140, perplexity +15%), KL 0.080"


def test_the_shipped_general_conversations_are_disjoint_and_can_all_be_used() -> None:
    from lora_tui.worker.forgetting import texts

    measure, replay = texts.drawn(texts.shipped_general(), 0), texts.drawn(texts.shipped_replay(), 0)
    assert (len(measure), len(replay)) == (60, 80)
    asked = [{row.messages[0]["content"] for row in rows} for rows in (measure, replay)]
    assert not asked[0] & asked[1]


def test_stored_replay_is_mixed_in_at_its_share_and_the_same_every_time(
    new_run: Callable[..., Run], short: Callable[..., Profile]
) -> None:
    runs = [new_run(profile=short(replay="stored", replay_share=0.2)) for _ in range(2)]
    views = [trained(run) for run in runs]
    assert views[0].total_steps == 7  # 20 rows and 5 general ones, 4 a step
    assert [item.loss for item in views[0].metrics] == [item.loss for item in views[1].metrics]
    assert notes(runs[0]) == ["replay: 5 rows of replay.jsonl mixed in, 20% of all"]
    kept = (runs[0].folder / "forgetting" / "replay.jsonl").read_bytes()
    assert kept == (runs[1].folder / "forgetting" / "replay.jsonl").read_bytes()
    assert b"completion" not in kept


def test_an_adapter_that_keeps_no_fisher_information_that_fits_it_is_held_to_general_texts(
    new_run: Callable[..., Run], short: Callable[..., Profile]
) -> None:
    profile = short(keep_fisher=True)
    pissa = msgspec.structs.replace(profile, lora=msgspec.structs.replace(profile.lora, init_lora_weights="pissa"))
    first = trained(new_run(profile=pissa))  # is saved with twice the rank that it was measured with
    adapter = first.run.folder / "adapter"
    assert not (adapter / "fisher.safetensors").exists()
    second = trained(new_run(profile=short(ewc=10.0), start_from=str(adapter), start_name="old@1.0.0"))
    assert [item.code for item in second.warnings] == ["ewc"]
    assert second.metrics[-1].penalty > 0.0


@pytest.mark.parametrize("fitting", [1, 0])
def test_what_measuring_takes_never_ends_a_run(
    new_run: Callable[..., Run], short: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch, fitting: int
) -> None:
    import torch

    from lora_tui.worker.forgetting import general, keeping

    real = general.ends_of

    def short_of_memory(model: Any, batch: Any) -> Any:
        if len(batch["input_ids"]) > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB (fake)")
        return real(model, batch)

    monkeypatch.setattr(general, "ends_of", short_of_memory)
    monkeypatch.setattr(keeping, "MEASURED", 4)  # of the shipped ones: one at a time they take long
    view = trained(new_run(profile=short(measure=True)))
    assert view.state == "finished", view.failure
    assert not view.out_of_memory
    assert (len(view.general) > 1) == (fitting > 0)
    assert [item.code for item in view.warnings] == ([] if fitting else ["general_memory"])


@pytest.mark.timeout(900)
def test_two_processes_are_held_back_as_one_is(new_run: Callable[..., Run], short: Callable[..., Profile]) -> None:
    from safetensors.torch import load_file

    wish = {"ewc": 100.0, "l2": 0.01, "kl": 1.0, "replay": "stored", "replay_share": 0.17}  # 24 rows: whole steps
    profile = short(measure=True, **wish)
    profile = msgspec.structs.replace(profile, lora=msgspec.structs.replace(profile.lora, lora_dropout=0.0))
    one = trained(new_run(profile=profile))
    run = new_run(profile=profile, nproc=2)
    supervisor.start(run)
    assert supervisor.wait(run, 600)
    two = RunView.of(run)
    assert two.state == "finished", two.failure
    assert one.metrics[0].penalty == pytest.approx(0.0, abs=1e-6)
    assert one.metrics[-1].penalty > 0.0
    for mine, theirs in zip(one.metrics, two.metrics, strict=True):
        assert theirs.loss == pytest.approx(mine.loss, abs=1e-4)
        assert theirs.penalty == pytest.approx(mine.penalty, rel=1e-2, abs=1e-6)
        assert theirs.grad_norm == pytest.approx(mine.grad_norm, rel=1e-3)
    assert [item.loss for item in two.general] == pytest.approx([item.loss for item in one.general], abs=1e-4)
    single, both = (load_file(view.run.folder / "adapter" / "fisher.safetensors") for view in (one, two))
    for name, item in single.items():
        assert (both[name] - item).abs().max() <= 1e-3 * item.abs().max()
