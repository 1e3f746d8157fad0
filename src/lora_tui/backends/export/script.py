"""run.sh of an exported job: environment, engine, worker; the same on one machine and on several."""

from __future__ import annotations

import shlex

from lora_tui.jobs.job import JobFile, Train

_SCRIPT = """#!/usr/bin/env bash
# Trains {title}. Start it on every machine of the job; each needs this whole folder.
#
# SkyPilot and dstack say by themselves how many machines there are and which this is. Elsewhere say it:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 NPROC=8 bash run.sh
# LORA_TUI_PYTHON: an interpreter that has lora-tui and its engine already; nothing is installed then.
# LORA_TUI_OUTPUT: where the adapter and the journal are copied to at the end.
# LORA_TUI_KEEP_MINUTES: how long to wait at the end, so that the adapter can be fetched.
set -euo pipefail
cd "$(dirname "${{BASH_SOURCE[0]}}")"
sha256sum --quiet --check SHA256SUMS

NNODES="${{NNODES:-${{SKYPILOT_NUM_NODES:-${{DSTACK_NODES_NUM:-1}}}}}}"
NODE_RANK="${{NODE_RANK:-${{SKYPILOT_NODE_RANK:-${{DSTACK_NODE_RANK:-0}}}}}}"
FIRST="$(head -n 1 <<< "${{SKYPILOT_NODE_IPS:-${{DSTACK_MASTER_NODE_IP:-127.0.0.1}}}}")"
MASTER_ADDR="${{MASTER_ADDR:-$FIRST}}"
NPROC="${{NPROC:-${{SKYPILOT_NUM_GPUS_PER_NODE:-${{DSTACK_GPUS_PER_NODE:-1}}}}}}"
if [ "$NPROC" -lt 1 ]; then NPROC=1; fi

if [ -n "${{LORA_TUI_PYTHON:-}}" ]; then
    python="$LORA_TUI_PYTHON"
else
    if [ ! -x venv/bin/python ]; then python3 -m venv --system-site-packages venv; fi
    python="$PWD/venv/bin/python"
    "$python" -m pip install --quiet --disable-pip-version-check {wheel}
fi

"$python" -m lora_tui.backends.export.spread {job} {run} \\
    --nnodes "$NNODES" --nproc "$NPROC" --address "$MASTER_ADDR"
(cd {folder} && exec "$python" -m lora_tui.worker job.toml --node-rank "$NODE_RANK")

if [ "$NODE_RANK" -ne 0 ]; then exit 0; fi
if [ -n "${{LORA_TUI_OUTPUT:-}}" ]; then
    mkdir -p "$LORA_TUI_OUTPUT"
    cp -R {folder}/adapter {folder}/journal.jsonl "$LORA_TUI_OUTPUT"
fi
echo "the adapter is in $PWD/{folder}/adapter"
if [ -n "${{LORA_TUI_KEEP_MINUTES:-}}" ]; then
    echo "waiting $LORA_TUI_KEEP_MINUTES minutes for it to be fetched"
    sleep "$((LORA_TUI_KEEP_MINUTES * 60))"
fi
"""


def run_folder(file: JobFile) -> str:
    """Where the run works, in the exported folder: as deep as the job lies, so that its paths hold."""
    return f"runs/{file.id}"


def run_script(file: JobFile, job: str, wheel: str) -> str:
    """The script; `job` and `wheel` are paths in the exported folder."""
    folder = run_folder(file)
    return _SCRIPT.format(
        title=" ".join(file.title.split()),
        wheel=shlex.quote(f"{wheel}[{_extras(file)}]"),
        job=shlex.quote(job),
        run=shlex.quote(f"{folder}/job.toml"),
        folder=folder,
    )


def _extras(file: JobFile) -> str:
    assert isinstance(file.job, Train)
    model = file.job.profile.model
    packed = model.load_in_4bit or model.load_in_8bit or "bit" in file.job.profile.training.optim
    return "train,quant" if packed else "train"
