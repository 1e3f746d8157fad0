"""What a dataset version is: rows in three splits and a manifest that says where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from lora_tui.sources.model import ToolCall
from lora_tui.workspace.profiles import Data

Origin = Literal["session", "commit", "synthetic", "replay", "import"]

TOOLS_FILE = "tools.json"  # toolset -> OpenAI's `tools` array; they are long, and the same for every row

SPLITS = ("train", "validation", "test")
MEMBERS_FILE = "members.jsonl"
LEAKAGE_FILE = "leakage.jsonl"
REJECTED_FILE = "rejected.jsonl"


class RowMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A chat message as TRL's conversational format has it; `weight` 0 keeps it out of the loss."""

    role: str
    content: str = ""
    reasoning_content: str = ""
    tool_calls: list[ToolCall] = []
    tool_call_id: str = ""
    weight: int = 1


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of train.jsonl: the messages, and what is known about them."""

    id: str  # hash of the messages
    messages: list[RowMessage]
    language: str = ""
    source: str = ""
    session: str = ""  # native id
    model: str = ""  # which model wrote the answers
    key: str = ""  # content hash of the example it was made of
    repository: str = ""  # name of the folder that was worked in
    shape: str = "agent"  # or 'plain'
    origin: Origin = "session"
    licence: str = ""  # SPDX id of the code, where known
    toolset: str = ""  # the tools it had: a key of tools.json beside the splits
    tools: list[dict[str, Any]] = []  # or the tools themselves, in rows from outside
    copy: int = 0  # 1 for the first repetition of a row, and so on


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of members.jsonl: which example became which row of which split, and why it fell there."""

    id: str  # of the row
    key: str  # of the example
    split: str
    language: str  # as it was decided when the version was built
    group: str  # members of a group fall into the same split
    session: str = ""  # native id; the same content may stand in two sessions
    copy: int = 0


class Rejected(msgspec.Struct, frozen=True):
    """One line of rejected.jsonl; `about` says which file, tool or other example `reason` speaks of."""

    id: str
    example: int
    reason: str
    request: str
    about: str = ""


class Pair(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of leakage.jsonl: two rows that share what they say; `split` and `other_split` say where they fell."""

    id: str
    other: str
    similarity: float  # Jaccard index of five-token shingles
    split: str = ""
    other_split: str = ""


class Count(msgspec.Struct, frozen=True):
    """Rows of one language and source in each split."""

    language: str
    source: str
    train: int = 0
    validation: int = 0
    test: int = 0


class Leakage(msgspec.Struct, frozen=True):
    """Near-duplicates between test and train: this split's, and a random split's over the same rows and sizes.

    Both without the repetitions and the general conversations of train, which are put there after the split.
    """

    test_rows: int = 0
    leaked: int = 0  # test rows with a near-duplicate in train
    at_random: float = 0.0  # share of test rows that would have one, had the rows been drawn at random
    pairs: int = 0  # of near-duplicate rows; they were kept together


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.toml of one version. Unknown keys are those of another release and are passed over."""

    name: str
    version: int
    created: float  # epoch seconds
    hash: str  # of the split files and the tools
    seed: int
    split: tuple[int, int, int]  # train, validation, test in percent
    split_rule: str
    rows: dict[str, int]  # per split
    files: dict[str, str]  # file -> SHA-256
    left_out: dict[str, int] = {}  # reason -> examples; rejected.jsonl lists them
    recipe: Data = Data()
    profile: str = ""
    imported: str = ""  # name of the file it was read from, where it was not built
    previous: int = 0  # the newest earlier version: its test rows, and those of all before it, stayed in test; 0: none
    counts: tuple[Count, ...] = ()
    by_model: dict[str, int] = {}
    by_shape: dict[str, int] = {}
    by_origin: dict[str, int] = {}
    by_licence: dict[str, int] = {}
    by_repository: dict[str, int] = {}
    findings: dict[str, int] = {}  # redaction rule -> how often it applied in the rows
    capture_hash: str = ""
    tables: dict[str, str] = {}  # versions of the rules it was made with
    suites: dict[str, str] = {}  # suite -> SHA-256 of the prompts it was held against
    leakage: Leakage = Leakage()
    notes: tuple[str, ...] = ()  # what one should know: too few test rows of a language, rows repeated

    @property
    def by_language(self) -> dict[str, int]:
        """Rows per language, over all splits."""
        return self._summed("language")

    @property
    def by_source(self) -> dict[str, int]:
        """Rows per source, over all splits."""
        return self._summed("source")

    def _summed(self, key: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for count in self.counts:
            name = getattr(count, key)
            found[name] = found.get(name, 0) + count.train + count.validation + count.test
        return dict(sorted(found.items()))

    @property
    def shaping(self) -> str:
        """How the examples became rows, in words."""
        if self.imported:
            return "as the file had them"
        data = self.recipe
        agent = [f"tools of {data.tool_target}" if data.tool_target != "as-recorded" else "tools as recorded"]
        agent += [f"outputs up to {data.cap} characters"] if data.cap else []
        agent += [f"{data.context} characters of context"] if data.context else []
        agent += [f"prompt and tools of {data.capture}"] if data.capture else []
        told = [", ".join(agent)] if data.shape == "agent" else []
        told += [f"edits as {data.form}"] if self.by_shape.get("plain") and data.form else []
        return "; ".join(told)


class Dataset(msgspec.Struct, frozen=True):
    """One immutable version on disk."""

    folder: Path
    manifest: Manifest

    @property
    def label(self) -> str:
        """How people and job files name it: rust@3."""
        return f"{self.manifest.name}@{self.manifest.version}"
