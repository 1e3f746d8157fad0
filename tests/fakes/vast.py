"""Vast's REST API as its reference describes it: offers, asks, instances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fakes.cloud import Answer, Box, Cloud, serving

_ASK = {
    "client_id", "image", "disk", "label", "runtype", "onstart", "env", "cancel_unavail", "price", "template_hash_id",
    "target_state", "args",
}  # fmt: skip
_STORAGE = 0.1 / 730  # USD per GB and hour
_PAGE = 25  # instances of one answer, at the most


@dataclass
class Ask:
    """A machine somebody offers."""

    id: int
    gpu: str = "RTX 4090"
    memory: int = 24564  # MB
    price: float = 0.30
    gpus: int = 1
    place: str = "Norway, NO"


def _asks() -> list[Ask]:
    return [
        Ask(11, price=0.42),
        Ask(12),
        Ask(13, price=0.36, place="Texas, US"),
        Ask(14, "A100 PCIE", 81920, 0.80),
        Ask(15, price=1.9, gpus=4),
    ]


@dataclass(repr=False)
class Vast(Cloud):
    """The fake; `taken` are ids of asks that somebody else was faster with. The disk costs from creation, the GPU
    from when it runs."""

    asks: list[Ask] = field(default_factory=_asks)
    taken: set[int] = field(default_factory=set)
    keys: dict[str, list[str]] = field(default_factory=dict)  # public keys put on an instance
    ran_since: dict[str, float] = field(default_factory=dict)
    numeric = True

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        """As the service would."""
        match method, path.strip("/").split("/"):
            case "POST", ["api", "v0", "bundles"]:
                return 200, {"offers": [self._offer(ask, body) for ask in self.asks if self._fits(ask, body)]}
            case "PUT", ["api", "v0", "asks", number]:
                return self._rent(int(number), body)
            case "GET", ["api", "v1", "instances"]:
                return self._page(query.get("after_token", ""))
            case "POST", ["api", "v0", "instances", identity, "ssh"]:
                self.keys.setdefault(identity, []).append(body["ssh_key"])
                return 200, {"success": True}
            case "GET", ["api", "v0", "instances", identity]:
                box = self.box(identity)
                return 200, {"instances": self._instance(box) if box else None}
            case "DELETE", ["api", "v0", "instances", identity]:
                box = self.box(identity)
                if box is None:
                    return 404, {"success": False, "error": "no_such_instance", "msg": "no such instance"}
                self.end(box)
                return 200, {"success": True}
            case _:
                return 404, {"success": False, "msg": "no such endpoint"}

    def _page(self, after: str) -> Answer:
        start = int(after.removeprefix("from-") or 0)
        rows = [self._instance(box) for box in self.living[start : start + _PAGE]]
        more = start + _PAGE < len(self.living)
        return 200, {"success": True, "instances": rows, "next_token": f"from-{start + _PAGE}" if more else None}

    def forget(self) -> None:
        """As new, with no machine."""
        super().forget()
        self.ran_since.clear()

    def _fits(self, ask: Ask, body: dict[str, Any]) -> bool:
        return (
            ask.id not in self.taken
            and ask.gpus == body["num_gpus"]["eq"]
            and ask.memory >= body["gpu_ram"]["gte"]
            and ask.price <= body.get("dph_total", {}).get("lte", 1e9)
        )

    def _offer(self, ask: Ask, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": ask.id,
            "gpu_name": ask.gpu,
            "num_gpus": ask.gpus,
            "gpu_ram": ask.memory,
            "dph_total": ask.price + body["allocated_storage"] * _STORAGE,
            "reliability2": 0.995,
            "geolocation": ask.place,
            "direct_port_count": 4,
            "cuda_max_good": 12.8,
        }

    def _rent(self, number: int, body: dict[str, Any]) -> Answer:
        ask = next((ask for ask in self.asks if ask.id == number), None)
        if set(body) - _ASK or len(body.get("onstart", "")) > 4048:
            return 400, {"success": False, "error": "invalid_args", "msg": "invalid arguments"}
        if ask is None or number in self.taken:
            return 410, {
                "success": False,
                "error": "no_such_ask",
                "msg": f"instance type by id {number} is not available.",
            }
        box = self.add(body["label"], ask.price + body["disk"] * _STORAGE, body, what=ask.gpu)
        return 200, {"success": True, "new_contract": int(box.id)}

    def _instance(self, box: Box) -> dict[str, Any]:
        runs = self.runs(box)
        if runs:
            self.ran_since.setdefault(box.id, self.clock())
        host, port = self.ssh
        waits = None if box.looks < 2 else "loading"
        return {
            "id": int(box.id),
            "label": box.label,
            "actual_status": box.broken or ("running" if runs else waits),
            "status_msg": "the image cannot be pulled" if box.broken else "",
            "gpu_name": box.what,
            "num_gpus": 1,
            "dph_total": box.price,
            "start_date": box.created,
            "public_ipaddr": host,
            "ports": {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}]} if runs else {},
            "ssh_host": "ssh5.vast.ai",
            "ssh_port": 10600,
        }

    def billed(self) -> float:
        """USD until now: the disk from creation, the GPU from when it ran."""
        total = 0.0
        for box in self.boxes:
            end = self.clock() if box.ended is None else box.ended
            disk = box.asked["disk"] * _STORAGE
            ran = end - self.ran_since[box.id] if box.id in self.ran_since else 0.0
            total += (self.seconds(box) * disk + max(0.0, ran) * (box.price - disk)) / 3600
        return total


@contextmanager
def vast(**settings: Any) -> Iterator[Vast]:
    """A Vast on loopback; its address is `.url`, the key it takes `fakes.cloud.KEY`."""
    cloud = Vast(**settings)
    with serving(cloud):
        yield cloud
