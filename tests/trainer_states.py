"""trainer_state.json files as transformers writes them."""

from __future__ import annotations

import json
from pathlib import Path


def trainer_state(folder: Path, step: int, total: int = 40) -> None:
    """checkpoint-<step>/trainer_state.json as Trainer writes it; its loss is not a number at step 3."""
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    log = [
        {"step": at, "epoch": at / 20, "loss": 2 / at if at != 3 else float("nan"), "learning_rate": 1e-4}
        for at in range(1, step + 1)
    ]
    log.insert(5, {"step": 5, "epoch": 0.25, "eval_loss": 1.25, "eval_runtime": 0.1})
    state = {"global_step": step, "max_steps": total, "best_model_checkpoint": str(place), "log_history": log}
    (place / "trainer_state.json").write_text(json.dumps(state))
