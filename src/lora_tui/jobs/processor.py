"""What this machine's processor multiplies fast; asked without torch, for the plan as for the engine."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
_FAST = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}  # x86-64's names, then ARM's


def has_fast_bf16(cpuinfo: Path = CPUINFO) -> bool:
    """Whether it has instructions for products of bf16.

    Without them bf16 is many times slower than fp32, not faster: every number is widened first. False where the
    system does not say.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip().lower() in ("flags", "features"):
            return not _FAST.isdisjoint(value.split())
    return False
