"""The plain shape: what was asked with the files as they were, and the net edit as the answer.

It holds no tool calls, so any chat model can learn it, and it is short: of an agent's conversation only the request,
the files that mattered and what came of it remain.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from lora_tui.curation.trim import trimmed
from lora_tui.dataset import forms
from lora_tui.dataset.model import RowMessage
from lora_tui.dataset.player import Player, attachments
from lora_tui.dataset.replay import Change, Part
from lora_tui.dataset.unfit import NotReplayable
from lora_tui.dataset.user_text import typed_text
from lora_tui.sources.model import Message, own_words, text_of
from lora_tui.workspace.profiles import Form

ROOM = 12_000  # characters of files that were only read
LONGEST = 8_000  # characters of an edited file; of a longer one the surroundings of the changes are shown
_AROUND = 20  # lines
_SHORT_TURN_WORDS = 3  # "continue": says nothing without the conversation


def plain(messages: Sequence[Message], source: str, directory: str, form: Form) -> list[RowMessage]:
    """The example as a request and an answer; a chat without files and tools stays as it is.

    Messages of earlier requests (about.context) only say what the files were like. Raises NotReplayable.
    """
    own = [message for message in messages if not message.about.context]
    if source != "aider" and not any(message.tool_calls or attachments(message) for message in own):
        return _chat(own)
    player = Player(source, directory)
    player.look_back([message for message in messages if message.about.context])
    player.play(own)
    changes = player.files.changes()
    edited = [_narrow(change) for change in reversed(changes) if change.edited]
    if player.edits and not edited:
        raise NotReplayable("its edits cancel each other out")
    answer = forms.rendered(edited, form) if edited else _words(own, player)
    read_now = set() if edited else player.read_now()
    request = [_request(own), *(forms.shown(change) for change in edited)]
    room = ROOM
    for change in changes:
        text = forms.shown(change)
        if not change.edited and len(text) <= room:
            room -= len(text)
            request.append(text)
        elif change.path in read_now:
            raise NotReplayable("its answer is about a file that is too long for a plain row", change.path)
    learned = [_weight(message) for message in own if message.role == "assistant"]
    weight = max(learned, default=0) if edited else learned[-1]
    return [
        RowMessage("user", "\n\n".join(text for text in request if text)),
        RowMessage("assistant", answer, weight=weight),
    ]


def _chat(messages: Sequence[Message]) -> list[RowMessage]:
    """What was said, without what the agent's program told the model in the user's name."""
    said: list[RowMessage] = []
    for message in trimmed(messages, cap=0):
        if message.role == "assistant":
            said.append(RowMessage("assistant", text_of(message), weight=_weight(message)))
        elif message.role == "system":
            said.append(RowMessage("system", text_of(message)))
        elif message.role == "user" and (text := typed_text(message)):
            said.append(RowMessage("user", text))
    return said


def _request(messages: Sequence[Message]) -> str:
    """The user's own words, without turns that only say to go on."""
    turns = [own_words(message).strip() for message in messages if message.role == "user"]
    said = [turn for turn in turns if turn]
    return "\n\n".join(said[:1] + [turn for turn in said[1:] if len(turn.split()) > _SHORT_TURN_WORDS])


def _words(messages: Sequence[Message], player: Player) -> str:
    """The answer where nothing was edited. Raises NotReplayable when the files do not show what it speaks of."""
    if player.failed:
        raise NotReplayable("its edits failed")
    words = _last_words(messages)
    if player.unseen:
        raise NotReplayable("its answer rests on what a tool said", player.unseen[0])
    return words


def _last_words(messages: Sequence[Message]) -> str:
    last = next((message for message in reversed(messages) if message.role in ("assistant", "tool")), None)
    if last is None or last.role == "tool" or last.tool_calls or not text_of(last).strip():
        raise NotReplayable("it ends without an answer in words, and without an edit")
    return text_of(last)


def _weight(message: Message) -> int:
    """1 unless a person, or a rule, took the message out of what is learned."""
    return 1 if message.about.weight is None else message.about.weight


def _narrow(change: Change) -> Change:
    """Of a long file the surroundings of what changes."""
    parts: list[Part] = []
    for part in change.parts:
        if len(part.before) <= LONGEST:
            parts.append(part)
            continue
        before, after = part.before.split("\n")[:-1], part.after.split("\n")[:-1]
        for group in difflib.SequenceMatcher(None, before, after).get_grouped_opcodes(_AROUND):
            (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
            parts.append(Part(_joined(before[i1:i2]), _joined(after[j1:j2])))
    return Change(change.path, tuple(parts), change.created)


def _joined(lines: Sequence[str]) -> str:
    return "".join(line + "\n" for line in lines)
