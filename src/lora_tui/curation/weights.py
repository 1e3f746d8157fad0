"""What of an example is learned from: 1 or 0 per message.

A call that went wrong and was then made again rightly stays in the example, so that the model sees what the failure led
to, but is not learned from. Where one of several calls of a message failed, the whole message is left out: the weight
is per message, and not learning a good call costs less than learning a bad one.
"""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.curation.actions import Action, actions
from lora_tui.curation.outcome import failed, invalid
from lora_tui.sources.model import Message, text_of


def weights(messages: Sequence[Message]) -> list[int]:
    """1 for each assistant message to learn from, else 0; a person's word (`about.weight`) stands above the rules."""
    bad = _recovered(messages)
    return [_weight(message, position in bad) for position, message in enumerate(messages)]


def _weight(message: Message, bad: bool) -> int:
    if message.role != "assistant" or message.about.context:
        return 0
    about = message.about
    if about.weight is not None:
        return 1 if about.weight else 0
    if bad or about.origin or about.reverted or about.interrupted or about.error:
        return 0
    own = not isinstance(message.content, str) or 0 not in about.synthetic
    said = bool(text_of(message).strip()) and own
    return 1 if said or message.tool_calls else 0


def _recovered(messages: Sequence[Message]) -> set[int]:
    """Positions of the messages with a call that failed and that a later call put right.

    An invalid call (no such tool, arguments it cannot take) and an edit that failed are not learned from, whatever
    followed: neither ever did anything.
    """
    made: dict[str, tuple[int, Action]] = {}  # call id -> where and what
    failures: dict[tuple[str, str], list[int]] = {}  # target -> positions
    bad: set[int] = set()
    for position, message in enumerate(messages):
        if message.role == "assistant":
            for call, done in zip(message.tool_calls, actions(message), strict=True):
                made[call.id] = position, done
        elif message.role == "tool" and message.tool_call_id in made:
            where, done = made.pop(message.tool_call_id)
            if invalid(message) or (done.kind == "edit" and failed(message, done)):
                bad.add(where)
            elif failed(message, done):
                failures.setdefault(_target(done), []).append(where)
            else:
                bad.update(failures.pop(_target(done), ()))
    return bad


def _target(done: Action) -> tuple[str, str]:
    """What a call is about: a later call about the same puts it right. Files by name, commands by their program."""
    if done.command:
        return "command", " ".join(_program(done.command))
    if done.paths:
        return done.kind, done.paths[0].replace("\\", "/").rsplit("/", 1)[-1]
    return done.kind, done.tool


def _program(command: str) -> list[str]:
    """The words that say what is run: after `cd x &&` and `VAR=1`, two where there is a subcommand."""
    words = command.split()
    while len(words) > 2 and words[0] == "cd" and ("&&" in words or words[1].endswith(";")):
        words = words[words.index("&&") + 1 :] if "&&" in words else words[2:]
    while words and "=" in words[0]:
        words = words[1:]
    has_subcommand = len(words) > 1 and words[1][:1].isalpha() and words[1].isalpha()
    return words[:2] if has_subcommand else words[:1]
