"""Public code for benchmarks, fetched once through the ordinary clients into benchmarks/.cache (not in the repository).

npm packages that ship their sources, wheels, and Debian's source-carrying packages; two sets of packages, so that what
is tuned on one is measured on the other.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

CACHE = Path(__file__).with_name(".cache") / "public-code"

ENDINGS = {
    "rust": (".rs",),
    "typescript": (".ts", ".tsx"),
    "python": (".py",),
    "ruby": (".rb",),
    "swift": (".swift",),
    "go": (".go",),
    "javascript": (".js", ".mjs", ".cjs"),
    "shell": (".sh", ".bash"),
}

# language -> (client, package) to look at while writing rules, and to measure on
DEVELOPMENT = {
    "rust": [("apt", "librust-walkdir-dev"), ("apt", "librust-clap-dev")],
    "typescript": [("npm", "rxjs"), ("npm", "zod")],
    "python": [("pip", "click"), ("pip", "rich")],
    "ruby": [("apt", "ruby-rack"), ("apt", "ruby-thor")],
    "swift": [("npm", "expo-modules-core"), ("npm", "lottie-react-native")],
    "go": [("apt", "golang-github-spf13-cobra-dev"), ("apt", "golang-github-stretchr-testify-dev")],
    "javascript": [("npm", "express"), ("npm", "lodash")],
    "shell": [("apt", "bats"), ("apt", "initramfs-tools-core")],
}
MEASURED = {
    "rust": [("apt", "librust-regex-dev"), ("apt", "librust-rand-dev"), ("apt", "librust-tokio-dev")],
    "typescript": [("npm", "immer"), ("npm", "redux"), ("npm", "@tanstack/query-core")],
    "python": [("pip", "requests"), ("pip", "jinja2"), ("pip", "flask")],
    "ruby": [("apt", "ruby-sinatra"), ("apt", "ruby-rspec-core"), ("apt", "ruby-sidekiq")],
    "swift": [("npm", "@stripe/stripe-react-native"), ("npm", "react-native-vision-camera"), ("npm", "expo-camera")],
    "go": [("apt", "golang-github-gin-gonic-gin-dev"), ("apt", "golang-github-gorilla-mux-dev")],
    "javascript": [("npm", "commander"), ("npm", "fastify"), ("npm", "yargs")],
    "shell": [("apt", "dkms"), ("apt", "dracut-core"), ("apt", "ifupdown")],
}


class Source(NamedTuple):
    """One real file."""

    language: str
    package: str
    path: str  # inside its package
    text: str


def files(packages: dict[str, list[tuple[str, str]]], per_language: int, seed: int = 1) -> dict[str, list[Source]]:
    """Real files of each language, 300 bytes to 60 kB, none minified or of types alone; the same each time."""
    chosen: dict[str, list[Source]] = {}
    for language, wanted in packages.items():
        found: list[Source] = []
        for client, package in wanted:
            folder = fetch(client, package)
            for path in sorted(folder.rglob("*")):
                text = _text(path, language)
                if text:
                    found.append(Source(language, package, str(path.relative_to(folder)), text))
        random.Random(f"{seed}-{language}").shuffle(found)
        chosen[language] = found[:per_language]
    return chosen


def fetch(client: str, package: str) -> Path:
    """The folder a package lies in, unpacked; fetched when it is not there yet."""
    folder = CACHE / client / package.replace("/", "+")
    if folder.exists():
        return folder
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    command = {
        "npm": ["npm", "pack", "--silent", package],
        "pip": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", package],
        "apt": ["apt-get", "download", "-qq", package],
    }[client]
    subprocess.run(command, cwd=part, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for archive in list(part.iterdir()):
        if archive.suffix == ".deb":
            subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=part, check=True)
        elif archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(part)
        elif archive.suffix == ".tgz":
            with tarfile.open(archive) as opened:
                opened.extractall(part, filter="data")
        archive.unlink(missing_ok=True) if archive.is_file() and archive.suffix in (".deb", ".whl", ".tgz") else None
    part.rename(folder)
    return folder


def _text(path: Path, language: str) -> str:
    """A file's text when it is worth showing to an agent; else empty."""
    shell = language == "shell" and not path.suffix
    if not (path.name.endswith(ENDINGS[language]) or shell) or path.is_symlink() or not path.is_file():
        return ""
    if path.name.endswith((".d.ts", ".min.js")) or {"node_modules", "dist", "cjs", "esm"} & set(path.parts):
        return ""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return ""
    lines = text.split("\n")
    if not 300 <= len(text) <= 60_000 or len(lines) < 12 or max(map(len, lines)) > 400:
        return ""
    if shell and not lines[0].startswith(
        ("#!/bin/sh", "#!/bin/bash", "#! /bin/sh", "#! /bin/bash", "#!/usr/bin/env bash")
    ):
        return ""
    return text


if __name__ == "__main__":
    for name, packages in (("development", DEVELOPMENT), ("measured", MEASURED)):
        for language, sources in files(packages, 10_000).items():
            print(f"{name:12} {language:11} {len(sources):5} files, {len({s.package for s in sources})} packages")
