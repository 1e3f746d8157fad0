"""Real git repositories for tests: small histories written by the git on this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

RUBY = """class Ledger
  def total(rows)
    rows.sum { |row| row.amount }
  end

  def report(rows)
    puts total(rows)
  end
end
"""


class History:
    """A work tree in which a test makes commits, one minute after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = 1_700_000_000
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Ada Field")
        self.git("config", "user.email", "ada@example.org")
        self.git("config", "commit.gpgsign", "false")

    def git(self, *arguments: str, **environment: str) -> str:
        """Run git here; returns what it prints."""
        when = f"{self.clock} +0000"
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**os.environ, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, **environment},
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def write(self, path: str, content: str | bytes) -> None:
        """Put a file into the work tree."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str, files: dict[str, str | bytes | None] | None = None, **environment: str) -> str:
        """Write these files (None: delete), commit everything, return the id."""
        self.clock += 60
        for path, content in (files or {}).items():
            if content is None:
                (self.folder / path).unlink()
            else:
                self.write(path, content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, **environment)
        return self.git("rev-parse", "HEAD")


def ruby_history(folder: Path) -> tuple[History, str]:
    """A repository with one file of Ruby, and the id of its first commit, which is a good one."""
    history = History(folder)
    return history, history.commit("Add a ledger that can be totalled", {"lib/ledger.rb": RUBY})
