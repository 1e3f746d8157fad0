"""The audit: what a run would be trained on, counted and looked through before anything is spent on it."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from lora_tui.dataset.model import SPLITS
from lora_tui.jobs import audit as record
from lora_tui.jobs import journal
from lora_tui.jobs.audit import Cut, Finding, LeftOut
from lora_tui.jobs.job import Audit
from lora_tui.worker import loading
from lora_tui.worker.audit_counts import SplitCounts, far_above
from lora_tui.worker.audit_packing import packing
from lora_tui.worker.findings import kept
from lora_tui.worker.findings.endings import Endings
from lora_tui.worker.findings.leaks import leak_findings
from lora_tui.worker.findings.named import Named
from lora_tui.worker.findings.odd_tokens import OddTokens
from lora_tui.worker.findings.repeats import Languages, Repeats, content_of
from lora_tui.worker.findings.typed_tokens import TypedTokens
from lora_tui.worker.mask import IGNORED
from lora_tui.worker.rows import Row, read_rows
from lora_tui.worker.tokenize import Tokens, cut, tokenize

_OFTEN = 0.2  # seconds between two words on how far it is


def audit(job: Audit, folder: Path, log: journal.Journal) -> None:
    """Write `job.output`. Raises BadInput where the base or a row cannot be read."""
    begin = time.monotonic()
    log.write(journal.Started(pid=os.getpid(), host=socket.gethostname()))
    audited = Auditor(job, folder, log).audited(begin)
    record.save(folder / job.output, audited)
    log.write(journal.Finished(seconds=time.monotonic() - begin, output=job.output))


class Auditor:
    """One audit under way: rows stream through, once, and leave numbers and findings behind."""

    def __init__(self, job: Audit, folder: Path, log: journal.Journal) -> None:
        self._job, self._log = job, log
        self._dataset = folder / job.dataset
        self._tokenizer = loading.load_tokenizer(job.base)
        self._facts = loading.facts(self._tokenizer, job.base)
        self._endings = Endings(self._tokenizer, self._facts.stops)
        self._odd = OddTokens(self._tokenizer)
        self._typed = TypedTokens(self._tokenizer)
        self._repeats, self._languages = Repeats(), Languages(job.languages)
        self._counts = {split: SplitCounts() for split in SPLITS}
        self._rows: Counter[str] = Counter()
        self._language: dict[str, str] = {}
        self._by_language: Counter[str] = Counter()
        self._left_out: list[LeftOut] = []
        self._cut: dict[tuple[str, str], Cut] = {}
        self._prompts: list[str] = []  # ids, beside the counts of train
        self._longest = 0
        self._total = 0
        self._told = 0.0

    def audited(self, begin: float) -> record.Audited:
        """Read everything and say what was found."""
        job = self._job
        self._total = sum(lines(self._dataset / f"{split}.jsonl") for split in SPLITS)
        for split in SPLITS:
            for item in tokenize(self._tokenizer, self._watched(split), split, job.max_length):
                if isinstance(item, LeftOut):
                    self._left_out.append(item)
                    self._longest = max(self._longest, item.tokens)
                else:
                    self._see(item, split)
        self._say("near-duplicates", 0, 0)
        shape = loading.load_config(job.base).get_text_config()
        train = self._counts["train"]
        return record.Audited(
            dataset_hash=job.dataset_hash,
            base=job.base,
            tokenizer=job.tokenizer,
            max_length=job.max_length,
            splits={split: counts.counted() for split, counts in self._counts.items()},
            rows={split: self._rows[split] for split in SPLITS},
            left_out=tuple(self._left_out[: record.LISTED]),
            cut=tuple(islice(self._cut.values(), record.LISTED)),
            findings=tuple(self._findings()),
            packing=packing(train.lengths, job.batch_size, job.max_length),
            longest=self._longest,
            vocabulary=shape.vocab_size,
            hidden_size=shape.hidden_size,
            layers=shape.num_hidden_layers,
            by_language=dict(self._by_language.most_common()),
            all_left_out=dict(Counter(item.split for item in self._left_out)),
            all_cut=len(self._cut),
            seconds=time.monotonic() - begin,
        )

    def _watched(self, split: str) -> Iterator[Row]:
        """The rows of a split on their way to the tokenizer."""
        for row in read_rows(self._dataset, split):
            self._rows[split] += 1
            self._typed.see(row.id, row.messages)
            self._repeats.see(row.id, split, content_of(row.messages, row.toolset or row.tools), row.copy)
            if split == "train":
                self._languages.see(row.id, row.language)
                self._language[row.id] = row.language
            self._say("count tokens", self._rows.total(), self._total)
            yield row

    def _see(self, item: Tokens, split: str) -> None:
        ids = np.array(item.input_ids)
        trained = np.array(item.labels) != IGNORED
        prompt, loss_tokens = int(trained.argmax()), int(trained.sum())
        self._counts[split].see(ids.size, loss_tokens, prompt)
        self._longest = max(self._longest, item.whole)
        self._endings.see(item.id, ids, trained)
        self._odd.see(item.id, ids)
        if split == "train":
            self._by_language[self._language.get(item.id, "")] += loss_tokens
            self._prompts.append(item.id)
        if (told := cut(item, split)) is not None:
            self._cut[split, item.id] = told

    def _findings(self) -> Iterator[Finding]:
        train = self._counts["train"]
        yield from kept.nothing_left(len(train.lengths), self._left_out, self._rows["train"])
        yield from self._endings.findings()
        yield from self._typed.findings()
        yield from self._odd.findings()
        yield from leak_findings(self._dataset, self._job.suites, self._repeats.across)
        yield from kept.left_out_findings(self._left_out, self._job.max_length)
        yield from kept.pad_findings(
            had_pad=self._facts.had_pad, pad_is_eos=self._facts.pad_is_eos, eos=self._tokenizer.eos_token or ""
        )
        yield from self._repeats.findings()
        yield from self._languages.findings()
        yield from kept.validation_findings(self._rows)
        yield from kept.cut_findings(list(self._cut.values()))
        yield from self._long_prompts()
        yield from kept.share_findings(sum(train.losses), sum(train.lengths))

    def _long_prompts(self) -> list[Finding]:
        prompts = self._counts["train"].prompts
        if not prompts:
            return []
        least = max(far_above(prompts), self._job.max_length / 2)
        named = Named()
        for identity, prompt in zip(self._prompts, prompts, strict=True):
            if prompt > least:
                named.add(identity)
        return named.finding(
            "note",
            "long-prompts",
            f"{{rows}} [has|have] prompts far longer than the others: over {least:,.0f} tokens",
            "Look at them; a lower data.cap or data.context makes them shorter.",
        )

    def _say(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._told > _OFTEN:
            self._told = now
            self._log.write(journal.Progress(stage=stage, done=done, total=total))


def lines(path: Path) -> int:
    """Lines of a file; 0 when there is none."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
