"""What of the host generated code may see, all of it read-only: programs and libraries, never a home folder."""

from __future__ import annotations

from pathlib import Path

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
)


def system_paths() -> tuple[list[str], dict[str, str]]:
    """Folders and files to show, and symbolic links to make anew (path -> target), of those that this system has."""
    here = [Path(name) for name in SYSTEM]
    links = {str(path): str(path.readlink()) for path in here if path.is_symlink()}
    return [str(path) for path in here if path.exists() and str(path) not in links], links


def within_system(path: Path) -> bool:
    """Whether `path` is shown anyway."""
    return any(path.is_relative_to(name) for name in SYSTEM)


def program_folders(home: Path) -> list[str]:
    """The folders of an installation that hold programs and libraries; what else lies beside them is not shown."""
    return [str(home / name) for name in ("bin", "lib", "lib64", "libexec") if (home / name).is_dir()]


def may_be_shown(home: Path) -> bool:
    """Whether an installation folder may be shown: not one that holds a person's home, or the whole disk."""
    return not any(person.is_relative_to(home) for person in (Path.home().resolve(), Path("/root"), Path("/home")))
