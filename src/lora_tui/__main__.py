"""`lora-tui` and `python -m lora_tui`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; its exit code is the process's."""
    from lora_tui.cli.main import run

    raise SystemExit(run())


if __name__ == "__main__":
    main()
