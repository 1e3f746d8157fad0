"""One repository, as git itself opens it. It is only read, nothing in it is run, and nothing is fetched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec

from lora_tui.workspace.errors import SourceError

# Settings of the repository or the user that could run a program, fetch, or change what we read.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.bigFileThreshold=1m",  # longer blobs are streamed, not held; we throw them away
    "core.packedGitWindowSize=1m",
    "core.packedGitLimit=16m",
    "diff.renameLimit=100",  # renames by content; exact ones are always found
    "i18n.logOutputEncoding=UTF-8",
    "log.showRoot=true",
    "log.showSignature=false",  # would start gpg.program
    "protocol.allow=never",
)


class Repository(msgspec.Struct, frozen=True):
    """Where a repository is and what kind."""

    where: str  # the folder that was given, absolute
    git_dir: str  # common to its worktrees
    root: str  # its work tree, or the bare repository itself
    prefix: str  # the part of the tree that was asked for: '' or 'lib/core/'
    head: str
    partial: bool
    boundary: frozenset[str]  # commits whose parents a shallow clone left out

    def command(self, *arguments: str, cache: int = 8) -> list[str]:
        """A git command line for this repository; `cache`: MiB of unpacked objects it may keep."""
        all_settings = (*_SETTINGS, f"core.deltaBaseCacheLimit={cache}m")
        settings = [part for setting in all_settings for part in ("-c", setting)]
        return ["git", "--no-pager", "--no-replace-objects", f"--git-dir={self.git_dir}", *settings, *arguments]

    def output(self, *arguments: str) -> bytes:
        """What a short git command prints. Raises SourceError."""
        return _run(self.command(*arguments), self.where)

    def count(self, *revisions: str) -> int:
        """How many commits `git rev-list` finds."""
        return int(self.output("rev-list", "--count", "--end-of-options", *revisions))


def open_repository(path: Path) -> Repository:
    """The repository at `path`: a work tree, a folder in one, a `.git` folder or a bare repository.

    Raises SourceError: no such folder, no repository, not ours to read, no commits, or no git.
    """
    where = str(path.expanduser().absolute())
    if not os.path.isdir(where):
        raise SourceError("no such folder", where=where, fix="Give the folder of a clone, or a bare repository.")
    base = ["git", "-C", where, "-c", "core.fsmonitor=false"]
    said = _run(
        [
            *base,
            "rev-parse",
            "--path-format=absolute",
            "--git-common-dir",
            "--is-bare-repository",
            "--is-inside-work-tree",
            "--show-prefix",
        ],
        where,
    )
    git_dir, bare, inside, prefix, *_ = [*os.fsdecode(said).split("\n"), "", ""]
    root = git_dir
    if inside == "true":
        root = os.fsdecode(_run([*base, "rev-parse", "--show-toplevel"], where)).removesuffix("\n")
    elif bare != "true" and os.path.basename(git_dir) == ".git":
        root = os.path.dirname(git_dir)
    try:
        head = _run([*base, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"], where).decode().strip()
    except SourceError as error:
        raise SourceError("the repository has no commits yet", where=where) from error
    return Repository(
        where=where,
        git_dir=git_dir,
        root=root,
        prefix=prefix,
        head=head,
        partial=_is_partial(base, where),
        boundary=_boundary(git_dir),
    )


def environment() -> dict[str, str]:
    """The environment of every git process: the user's configuration, but no variable that points elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    kept |= {name: value for name, value in os.environ.items() if name.startswith("GIT_CONFIG")}
    return kept | {
        "LC_ALL": "C",
        "GIT_NO_LAZY_FETCH": "1",  # git 2.45 and newer; the next line is for older ones
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def explained(said: str, where: str) -> SourceError:
    """git's complaint as an error that says what to do."""
    line = next((line for line in said.splitlines() if line.startswith(("fatal:", "error:"))), said.strip())
    reason = line.removeprefix("fatal: ").removeprefix("error: ").strip()
    if "dubious ownership" in said or "safe.directory" in said:
        return SourceError(
            "git refuses a repository of another user",
            where=where,
            fix=f"If you trust it: git config --global --add safe.directory '{where}'",
        )
    if "not a git repository" in said:
        return SourceError("not a git repository", where=where, fix="Give the folder of a clone, or a bare repository.")
    if "missing" in said or "could not fetch" in said or "promisor" in said or "unable to read tree" in said:
        return SourceError(
            f"its history is not all in this clone: {reason}",
            where=where,
            fix="A clone without trees cannot be mined: git fetch --refetch --filter=blob:none",
        )
    return SourceError(f"git cannot read it: {reason}", where=where, fix="Check it with: git fsck")


def no_git(where: str) -> SourceError:
    """There is no git program."""
    return SourceError("git is not installed", where=where, fix="Install git; mining needs nothing else.")


def _run(command: list[str], where: str) -> bytes:
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError as error:
        raise no_git(where) from error
    if done.returncode:
        raise explained(done.stderr.decode(errors="replace"), where)
    return done.stdout


def _is_partial(base: list[str], where: str) -> bool:
    try:
        return bool(
            _run([*base, "config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"], where)
        )
    except SourceError:  # exit code 1: no such setting
        return False


def _boundary(git_dir: str) -> frozenset[str]:
    try:
        return frozenset(Path(git_dir, "shallow").read_text().split())
    except OSError:
        return frozenset()
