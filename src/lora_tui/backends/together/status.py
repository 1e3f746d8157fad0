"""A job at Together as its server tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lora_tui.backends.together.client import asking, converted, plain

if TYPE_CHECKING:
    from together import Together

ENDED_EARLY = ("cancelled", "error", "user_error")
ENDED = (*ENDED_EARLY, "completed")
_NANO = 1e9  # total_price is in nano-dollars


class Status(msgspec.Struct, frozen=True):
    """GET /v1/fine-tunes/{id}: the parts a run is followed by."""

    id: str
    status: str = ""
    total_price: float | None = None
    token_count: int = 0
    total_steps: int = 0
    early_stopping_best_step: int = 0
    adapter_object_id: str = ""
    adapter_object_name: str = ""
    model_object_id: str = ""
    model_output_name: str = ""
    queue_depth: int = 0

    @property
    def price(self) -> float | None:
        """What it has cost so far, in USD; None where Together does not say."""
        return None if self.total_price is None else self.total_price / _NANO


def status_of(client: Together, job: str) -> Status:
    """The job now. Raises ServiceError."""
    with asking(f"looking at job {job}"):
        found = converted(plain(client.fine_tuning.retrieve(job)), Status)
        return msgspec.structs.replace(found, status=found.status.casefold())
