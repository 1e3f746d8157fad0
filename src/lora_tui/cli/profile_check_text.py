"""What `profiles check` found, for people."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.backends.plan_words import size
from lora_tui.backends.profile_check import Checked
from lora_tui.cli.output import table


def report(found: Sequence[tuple[str, Checked]], *, with_table: bool) -> str:
    """One line per profile, its problems below it; for a single one also what would be trained."""
    width = max((len(name) for name, _ in found), default=0)
    lines: list[str] = []
    for name, item in found:
        lines.append(f"{name:<{width}}  {'error' if item.errors else 'ok'}  {_amount(item)}".rstrip())
        for problem in item.problems:
            key = f"{problem.key}: " if problem.key else ""
            lines.append(f"{'':<{width}}  {problem.severity}: {key}{problem.message}")
            if problem.fix:
                lines.append(f"{'':<{width}}    {problem.fix}")
    if with_table and found and found[0][1].trained:
        lines += ["", trained_table(found[0][1])]
    return "\n".join(lines)


def trained_table(item: Checked) -> str:
    """What will be trained: modules × parameters × bytes."""
    rows: list[tuple[object, ...]] = [
        (part.module, f"×{part.count:,}", f"{part.parameters:,}", size(part.size)) for part in item.trained
    ]
    total = sum(part.parameters for part in item.trained)
    rows.append(("all", "", f"{total:,}", size(sum(part.size for part in item.trained))))
    return table(rows, ("what will be trained", "layers", "parameters", "in fp32"), right=(1, 2, 3))


def _amount(item: Checked) -> str:
    total = item.parameters or sum(part.parameters for part in item.trained)
    if item.errors and not total:
        return ""
    if not total:
        return "the base is not on this machine, and its shape is not known"
    seen = "seen in the base" if item.asked_engine and not item.errors else "by the base's shape"
    return f"{total:,} parameters to train ({seen})"
