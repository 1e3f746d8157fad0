"""The estimate of memory against 56 published figures and against processes measured here.

    python benchmarks/memory.py [--published] [--measured] [--scratch FOLDER]

Published: benchmarks/memory_points.toml; a part of the points is held out, chosen before any constant was. Limits, on
the held-out part: 10 % on average, 20 % at worst.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from lora_tui.backends import memory, shape

POINTS = Path(__file__).with_name("memory_points.toml")
UNITS = {"GB": 1000**3, "GiB": 1024**3}
MEAN, WORST = 0.10, 0.20


def main() -> int:
    """0 when the errors are within the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", action="store_true", help="only the published points; takes no time")
    parser.add_argument("--measured", action="store_true", help="only processes measured here")
    parser.add_argument("--scratch", type=Path, help="keep the models of random weights here")
    given = parser.parse_args()
    good = True
    if not given.measured:
        good = published()
    if not given.published:
        with tempfile.TemporaryDirectory() as folder:
            good = on_this_machine(given.scratch or Path(folder)) and good
    return 0 if good else 1


def on_this_machine(scratch: Path) -> bool:
    """Print every case; whether they keep the limits."""
    from memory_measured import measured

    print(f"\n{'on this CPU':42}{'reached':>10}{'estimate':>10}{'libraries':>11}{'error':>8}", flush=True)
    errors = []
    for case, reached, estimate, libraries in measured(scratch):
        if not case.chosen_on:
            errors.append(abs(estimate / reached - 1))
        numbers = "".join(f"{number / 1024**2:>10,.0f}" for number in (reached, estimate, libraries))
        print(f"{case.name:42}{numbers} MiB{estimate / reached - 1:>+8.1%}{'  chosen on' * case.chosen_on}", flush=True)
    print(
        f"{len(errors)} shapes that nothing was chosen on: "
        f"mean error {statistics.fmean(errors):.1%}, worst {max(errors):.1%}"
    )
    return statistics.fmean(errors) <= MEAN and max(errors) <= WORST


def published() -> bool:
    """Print every point; whether the held-out part keeps the limits."""
    data = tomllib.loads(POINTS.read_text())
    errors: dict[bool, list[float]] = {False: [], True: []}
    print(f"{'':5}{'source':11}{'model':20}{'storage':8}{'tokens':>7}{'published':>14}{'estimate':>10}{'error':>8}")
    left_out = []
    for point in data["points"]:
        told = data["sources"][point["source"]] | point
        if "left_out" in told:
            left_out.append(told)
            continue
        parts = estimated(told)
        unit = UNITS[told["unit"]]
        error = parts.total / unit / told["published"] - 1
        held = bool(told.get("held_out"))
        errors[held].append(abs(error))
        print(
            f"{told['n']:5}{told['source']:11}{told['shape']:20}{told['storage']:8}"
            f"{told['batch'] * told['length']:>7}{told['published']:>10.2f} {told['unit']:3}{parts.total / unit:>10.2f}"
            f"{error:>+8.1%}{'  held out' if held else ''}"
        )
    print("\nnot compared:")
    for told in left_out:
        print(f"  {told['n']:5}{told['source']:11}{told['shape'] or told.get('name', ''):20}{told['left_out']}")
    print()
    for held, name in ((False, "constants chosen on"), (True, "held out")):
        part = errors[held]
        print(f"{name:20}{len(part):3} points: mean error {statistics.fmean(part):.1%}, worst {max(part):.1%}")
    return statistics.fmean(errors[True]) <= MEAN and max(errors[True]) <= WORST


def estimated(told: dict[str, Any]) -> memory.Estimate:
    """The estimate for a point."""
    base = shape.known()[told["shape"]]
    holding = memory.Holding(
        storage=told["storage"],
        adapter_width=4 if told["adapter"] == "fp32" else 2,
        autocast=told["autocast"],
        optim=told["optim"],
        loss=told["loss"],
        checkpointing=told["checkpointing"],
        dropout=told["dropout"] > 0,
        keeps_inputs=told.get("keeps_inputs", False),
        compiled=told.get("compiled", False),
        master=told.get("master", False),
        buffers=told.get("buffers", 0),
        counted=told["counted"],
    )
    batch = memory.Batch(rows=told["batch"], length=told["length"])
    trainable = base.trainable(told["targets"], told["r"])
    return memory.estimate(base, told["targets"], trainable, batch, holding)


if __name__ == "__main__":
    sys.exit(main())
