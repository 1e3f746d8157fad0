"""What starts a cycle every night: a systemd timer or a line for cron, printed to be copied."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from lora_tui.workspace.errors import BadInput


def systemd(command: Sequence[str], profile: str, at: str) -> str:
    """A service and its timer, each under the name its file is to have in ~/.config/systemd/user. Raises BadInput.

    The timer is `Persistent`: a night the machine slept through is made up for (man systemd.timer).
    """
    hour, minute = _time(at)
    named = profile.replace("%", "%%")
    unit = f"lora-tui-cycle-{''.join(char if char.isalnum() or char in '-_.' else '-' for char in profile)}"
    return f"""\
# ~/.config/systemd/user/{unit}.service
[Unit]
Description=lora-tui cycle {named}

[Service]
Type=oneshot
Nice=10
ExecStart={" ".join(map(_quoted, command))}

# ~/.config/systemd/user/{unit}.timer
[Unit]
Description=lora-tui cycle {named}, every night

[Timer]
OnCalendar=*-*-* {hour:02}:{minute:02}:00
Persistent=true

[Install]
WantedBy=timers.target

# then: systemctl --user daemon-reload && systemctl --user enable --now {unit}.timer
# it also runs while you are not logged in: loginctl enable-linger
"""


def cron(command: Sequence[str], at: str) -> str:
    """A line for `crontab -e`; its output, the page, is mailed to you by cron. Raises BadInput."""
    hour, minute = _time(at)
    line = shlex.join(command).replace("%", "\\%")  # cron reads % as a line's end
    return f"{minute} {hour} * * * nice {line}\n"


def _time(at: str) -> tuple[int, int]:
    hour, colon, minute = at.partition(":")
    if colon and hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60:
        return int(hour), int(minute)
    raise BadInput(f"{at!r} is no time of the day", where="--at", fix="Write HH:MM, as in 03:30.")


def _quoted(word: str) -> str:
    """A word as systemd reads it (man systemd.service, COMMAND LINES): % and $ doubled, quoted where it has blanks."""
    word = word.replace("%", "%%").replace("$", "$$")
    if not word or any(char in word for char in " \t\"'\\;"):
        word = word.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{word}"'
    return word
