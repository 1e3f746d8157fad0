"""Vast.ai by its REST API (https://docs.vast.ai/api-reference, read in 2026-08). One machine at a time: no clusters.

Traps: the disk costs from creation, the GPU from `running`; one that is stopped, exited, unknown or offline never runs;
`onstart` holds 4,048 characters; a stopped machine goes on costing its disk, so only DELETE ends it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Callable
from typing import Any

from lora_tui.backends.renting.provider import KEYS, PATIENCE, PREFIX, Machine, Offer, Wanted, is_named
from lora_tui.backends.renting.rest import NoAnswer, Refused, Rest
from lora_tui.workspace.errors import BadInput, LoraTuiError

IMAGE = "pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime"
_CUDA = 12.8
_MOST_ONSTART = 4048
_STILL_COMING = (None, "created", "loading", "rebooting")
_MOST_OFFERS = 500
_MOST_PAGES = 400  # of instances: ten thousand


class Vast:
    """Instances of the account of $VAST_API_KEY; $VAST_BASE_URL and $VAST_IMAGE override the defaults."""

    name = "vast"

    def __init__(self, patience: int = PATIENCE, sleep: Callable[[float], None] = time.sleep) -> None:
        """Raises BadInput where there is no usable key."""
        self._rest = Rest("Vast", KEYS[self.name], "VAST_BASE_URL", "https://console.vast.ai", patience, sleep)

    def offers(self, wanted: Wanted) -> list[Offer]:
        """POST /api/v0/bundles/: verified machines on demand with own ports; `dph_total` has the disk in it."""
        if wanted.nodes > 1:
            raise BadInput("Vast has no clusters", fix="Take RunPod for several machines, or hosts of your own.")
        asked: dict[str, object] = {
            "type": "on-demand",
            "rentable": {"eq": True},
            "rented": {"eq": False},
            "verified": {"eq": True},
            "num_gpus": {"eq": wanted.gpus},
            "gpu_ram": {"gte": wanted.memory_gb * 1000},  # MB
            "disk_space": {"gte": wanted.disk_gb},
            "direct_port_count": {"gte": 1},
            "cuda_max_good": {"gte": _CUDA},
            "allocated_storage": wanted.disk_gb,
            "order": [["dph_total", "asc"]],
            "limit": _MOST_OFFERS,
        }
        if wanted.max_price:
            asked["dph_total"] = {"lte": wanted.max_price}
        if wanted.hours:
            asked["duration"] = {"gte": wanted.hours * 3600}
        data = self._rest.ask("/api/v0/bundles/", asked)
        rows = data.get("offers") if isinstance(data, dict) else None
        if not isinstance(rows, list):
            raise NoAnswer("Vast answers without 'offers'")
        now = time.time()
        found = [offer for row in rows if (offer := _offer(row, wanted, now)) is not None]
        return sorted(found, key=lambda offer: offer.price_per_hour)

    def rent(self, offer: Offer, label: str, public_key: str, dead_man: str) -> Machine:
        """PUT /api/v0/asks/{id}/. `cancel_unavail`: refused, not queued, where somebody else was faster."""
        onstart = "\n".join(
            (
                "touch ~/.no_auto_tmux",
                f"mkdir -p ~/.ssh && echo {shlex.quote(public_key)} >> ~/.ssh/authorized_keys",
                f"bash -c {shlex.quote(dead_man)} &",
            )
        )
        if len(onstart) > _MOST_ONSTART:
            raise BadInput("the public key is too long for Vast's start command", fix="Use an ed25519 key.")
        body = {
            "client_id": "me",
            "image": os.environ.get("VAST_IMAGE") or IMAGE,
            "disk": offer.disk_gb,
            "label": label,
            "runtype": "ssh_direc ssh_proxy",
            "onstart": onstart,
            "env": {},
            "cancel_unavail": True,
        }
        made = self._rest.send("PUT", f"/api/v0/asks/{offer.id}/", body)
        if isinstance(made, dict) and made.get("success") is False:
            raise Refused(
                409, f"Vast does not rent this machine: {made.get('msg') or made.get('error') or 'it is gone'}"
            )
        identity = str(made.get("new_contract") or "") if isinstance(made, dict) else ""
        if not identity:
            raise NoAnswer("Vast answers without the id of what was rented")
        with contextlib.suppress(LoraTuiError):  # the start command brings the key as well
            self._rest.send("POST", f"/api/v0/instances/{identity}/ssh/", {"ssh_key": public_key})
        return Machine(provider=self.name, id=identity, label=label, state="starting")

    def look(self, identity: str) -> Machine | None:
        """GET /api/v0/instances/{id}/, which answers under `instances`; null for one that is gone."""
        try:
            data = self._rest.get(f"/api/v0/instances/{identity}/")
        except Refused as error:
            if error.status in (404, 410):
                return None
            raise
        if not isinstance(data, dict) or "instances" not in data:
            raise NoAnswer("Vast answers without 'instances'")
        row = data["instances"]
        return _machine(row) if isinstance(row, dict) and row else None

    def all(self) -> list[Machine]:
        """GET /api/v1/instances/: 25 at a time, `next_token` leads to the next ones."""
        found: list[Machine] = []
        asked: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            data = self._rest.get("/api/v1/instances/", asked)
            rows = data.get("instances") if isinstance(data, dict) else None
            if not isinstance(rows, list):
                raise NoAnswer("Vast answers without 'instances'")
            found += [_machine(row) for row in rows if str(row.get("label") or "").startswith(PREFIX)]
            if not data.get("next_token"):
                return found
            asked = {"after_token": str(data["next_token"])}
        raise NoAnswer(f"Vast lists instances without an end: more than {_MOST_PAGES} pages")

    def end(self, identity: str) -> None:
        """DELETE /api/v0/instances/{id}/."""
        self._rest.delete(f"/api/v0/instances/{identity}/")


def _offer(row: dict[str, Any], wanted: Wanted, now: float) -> Offer | None:
    name, price = str(row.get("gpu_name") or ""), float(row.get("dph_total") or 0.0)
    if not is_named(wanted.gpu, name) or price <= 0 or (wanted.max_price and price > wanted.max_price):
        return None
    return Offer(
        provider="vast",
        id=str(row["id"]),
        gpu=name,
        gpus=int(row.get("num_gpus") or wanted.gpus),
        memory_gb=round(float(row.get("gpu_ram") or 0) / 1000, 1),
        price_per_hour=round(price, 4),
        place=str(row.get("geolocation") or ""),
        reliability=row.get("reliability2"),
        seen=now,
        disk_gb=wanted.disk_gb,
    )


def _machine(row: dict[str, Any]) -> Machine:
    """An instance; reached directly where its port 22 is published, else by Vast's proxy."""
    status = row.get("actual_status")
    ports = row.get("ports")
    published = (ports.get("22/tcp") if isinstance(ports, dict) else None) or [{}]
    direct = published[0].get("HostPort") if row.get("public_ipaddr") else None
    host = str(row["public_ipaddr"]).strip() if direct else str(row.get("ssh_host") or "")
    running = status == "running" and bool(host)
    coming = status in _STILL_COMING or (status == "running" and not host)
    many = int(row.get("num_gpus") or 1)
    return Machine(
        provider="vast",
        id=str(row["id"]),
        label=str(row.get("label") or ""),
        state="running" if running else "starting" if coming else "failed",
        host=host,
        port=int(direct or row.get("ssh_port") or 22),
        price_per_hour=float(row.get("dph_total") or 0.0),
        name=f"{f'{many}× ' if many > 1 else ''}{row.get('gpu_name') or ''}",
        reason="" if running or coming else str(row.get("status_msg") or f"its state is {status}").strip(),
        began=float(row.get("start_date") or 0.0),
    )
