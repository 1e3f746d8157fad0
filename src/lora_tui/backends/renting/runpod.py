"""RunPod by its REST API v2 (https://api.runpod.io/v2/openapi.json, read in 2026-08); a cluster for several nodes.

Its own field names. A field it does not know is answered with 422. There are no interruptible machines in v2.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from lora_tui.backends.renting.provider import KEYS, PATIENCE, PREFIX, Machine, Offer, Wanted, is_named
from lora_tui.backends.renting.rest import NoAnswer, Refused, Rest

IMAGE = "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404"
_CUDA = "12.8"
_CLUSTER = "cluster:"  # what the id of a cluster is written with, as clusters and pods are asked after in two places
_DISK = 0.10 / 730  # USD per GB and hour of a container's disk
_STATES: dict[str, Literal["starting", "running", "gone", "failed"]] = {
    "PROVISIONING": "starting",
    "STARTING": "starting",
    "RUNNING": "running",
    "EXITED": "failed",
    "ERROR": "failed",
    "TERMINATED": "gone",
}


class RunPod:
    """Pods and clusters of the account of $RUNPOD_API_KEY; $RUNPOD_BASE_URL and $RUNPOD_IMAGE override the defaults."""

    name = "runpod"

    def __init__(self, patience: int = PATIENCE, sleep: Callable[[float], None] = time.sleep) -> None:
        """Raises BadInput where there is no usable key."""
        self._rest = Rest("RunPod", KEYS[self.name], "RUNPOD_BASE_URL", "https://api.runpod.io", patience, sleep)

    def offers(self, wanted: Wanted) -> list[Offer]:
        """GET /v2/catalog/gpus for each cloud: GPU types in stock in that number, at the price of so many."""
        product = "POD" if wanted.nodes == 1 else "CLUSTER"
        found: list[Offer] = []
        for cloud in ("SECURE", "COMMUNITY") if wanted.nodes == 1 else ("SECURE",):
            asked = {"include": "AVAILABILITY", "product": product, "count": str(wanted.gpus), "cloud": cloud}
            asked["minCudaVersion"] = _CUDA
            rows = _rows(self._rest.get("/v2/catalog/gpus", asked), "gpus")
            now = time.time()
            found += [offer for row in rows if (offer := _offer(row, cloud, wanted, now)) is not None]
        return sorted(found, key=lambda offer: offer.price_per_hour)

    def rent(self, offer: Offer, label: str, public_key: str, dead_man: str) -> Machine:
        """POST /v2/pods, or /v2/clusters for several nodes. The key goes into PUBLIC_KEY, not among the account's."""
        cloud, _, gpu = offer.id.partition(":")
        body: dict[str, object] = {
            "name": label,
            "image": os.environ.get("RUNPOD_IMAGE") or IMAGE,
            "disk": offer.disk_gb,
            "ports": ["22/tcp"],
            "env": {"PUBLIC_KEY": public_key, "LORA_TUI_DEAD_MAN": dead_man},
            "args": """bash -c 'bash -c "$LORA_TUI_DEAD_MAN" & exec /start.sh'""",
            "startSsh": True,
        }
        if offer.nodes > 1:
            compute = {"gpuTypeId": gpu, "gpuCountPerPod": offer.gpus, "podCount": offer.nodes}
            made = self._rest.send("POST", "/v2/clusters", body | {"type": "TRAINING", "compute": compute})
            return Machine(provider=self.name, id=_CLUSTER + _identity(made), label=label, state="starting")
        pod = body | {"cloud": cloud, "gpu": {"id": gpu, "count": offer.gpus, "minCudaVersion": _CUDA}}
        made = self._rest.send("POST", "/v2/pods", pod)
        _identity(made)
        return _machine(made)

    def look(self, identity: str) -> Machine | None:
        """GET /v2/pods/{id}; for a cluster, it and its pods."""
        try:
            if identity.startswith(_CLUSTER):
                return self._cluster(self._rest.get(f"/v2/clusters/{identity.removeprefix(_CLUSTER)}"))
            found = _machine(self._rest.get(f"/v2/pods/{identity}"))
        except Refused as error:
            if error.status in (404, 410):
                return None
            raise
        return None if found.state == "gone" else found

    def all(self) -> list[Machine]:
        """GET /v2/pods, which leaves out the pods of clusters, and /v2/clusters."""
        pods = [_machine(row) for row in _rows(self._rest.get("/v2/pods"), "pods") if _ours(row)]
        clusters = [row for row in _rows(self._rest.get("/v2/clusters"), "clusters") if _ours(row)]
        return [pod for pod in pods if pod.state != "gone"] + [self._cluster(row) for row in clusters]

    def end(self, identity: str) -> None:
        """DELETE /v2/pods/{id} or /v2/clusters/{id}: both end the work and the bill, and the disk with them."""
        if identity.startswith(_CLUSTER):
            self._rest.delete(f"/v2/clusters/{identity.removeprefix(_CLUSTER)}")
        else:
            self._rest.delete(f"/v2/pods/{identity}")

    def _cluster(self, row: dict[str, Any]) -> Machine:
        identity = _identity(row)
        rows = _rows(self._rest.get(f"/v2/clusters/{identity}/pods"), "pods")
        rows.sort(key=lambda pod: (pod.get("cluster") or {}).get("rank") or 0)
        pods = [_machine(pod) for pod in rows]
        wanted = int((row.get("compute") or {}).get("podCount") or 0)
        broken = next((pod for pod in pods if pod.state in ("failed", "gone")), None)
        all_run = len(pods) >= wanted and all(pod.state == "running" for pod in pods)
        first = pods[0] if pods and all_run else None
        return Machine(
            provider=self.name,
            id=_CLUSTER + identity,
            label=str(row.get("name") or ""),
            state="failed" if broken else "running" if first else "starting",
            host=first.host if first else "",
            port=first.port if first else 22,
            user=first.user if first else "root",
            price_per_hour=sum(pod.price_per_hour for pod in pods),
            name=f"{wanted} nodes of {pods[0].name}" if pods else f"{wanted} nodes",
            reason=broken.reason if broken else "",
            began=_seconds(row.get("createdAt")),
            nodes=tuple((pod.host, pod.port) for pod in pods) if first else (),
            address=str((rows[0].get("cluster") or {}).get("ip") or "") if first else "",
        )


def _offer(row: dict[str, Any], cloud: str, wanted: Wanted, now: float) -> Offer | None:
    """One GPU type as an offer; None where it does not fit, is not in stock or has no price."""
    identity, side = str(row.get("id") or ""), cloud.lower()
    price = (row.get("price") or {}).get(side)
    if not identity or not price or row.get("availability") in (None, "NONE"):
        return None
    memory = float(row.get("memory") or 0)
    most = (row.get("maxCount") or {}).get(side)
    total = wanted.nodes * (wanted.gpus * float(price) + wanted.disk_gb * _DISK)
    fits = is_named(wanted.gpu, f"{identity} {row.get('name', '')}") and memory >= wanted.memory_gb
    if not fits or (most is not None and most < wanted.gpus) or (wanted.max_price and total > wanted.max_price):
        return None
    return Offer(
        provider="runpod",
        id=f"{cloud}:{identity}",
        gpu=identity,
        gpus=wanted.gpus,
        memory_gb=memory,
        price_per_hour=round(total, 4),
        place=f"{side} cloud, stock {str(row['availability']).lower()}",
        seen=now,
        nodes=wanted.nodes,
        disk_gb=wanted.disk_gb,
    )


def _machine(row: dict[str, Any]) -> Machine:
    """A pod. It runs when its sshd can be reached too: the address comes a while after the state."""
    status = str(row.get("status") or "")
    state = _STATES.get(status, "starting")
    direct = (row.get("ssh") or {}).get("direct") or {}
    if state == "running" and not direct.get("host"):
        state = "starting"
    gpu = row.get("gpu") or {}
    many = int(gpu.get("count") or 1)
    return Machine(
        provider="runpod",
        id=str(row.get("id") or ""),
        label=str(row.get("name") or ""),
        state=state,
        host=str(direct.get("host") or ""),
        port=int(direct.get("port") or 22),
        user=str(direct.get("username") or "root"),
        price_per_hour=float(row.get("cost") or 0.0),
        name=f"{f'{many}× ' if many > 1 else ''}{gpu.get('id', '')}",
        reason=f"its state is {status}" if state == "failed" else "",
        began=_seconds(row.get("createdAt")),
    )


def _ours(row: dict[str, Any]) -> bool:
    return str(row.get("name") or "").startswith(PREFIX)


def _rows(data: Any, field: str) -> list[dict[str, Any]]:
    rows = data.get(field) if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise NoAnswer(f"RunPod answers without {field!r}")
    return [row for row in rows if isinstance(row, dict)]


def _identity(made: Any) -> str:
    """Raises NoAnswer: something may have been made all the same."""
    identity = made.get("id") if isinstance(made, dict) else None
    if not identity:
        raise NoAnswer("RunPod answers without an id")
    return str(identity)


def _seconds(text: Any) -> float:
    """Epoch seconds of an RFC 3339 time; 0 where there is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
