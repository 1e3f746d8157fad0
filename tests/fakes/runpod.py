"""RunPod's REST API v2 as its openapi.json describes it: catalog, pods, clusters. Fields it does not know: 422."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fakes.cloud import Answer, Box, Cloud, serving

_CONTAINER = {"image", "args", "disk", "ports", "env", "registry"}
_POD = _CONTAINER | {
    "name", "cloud", "cpu", "gpu", "dataCenterIds", "globalNetworking", "mounts", "startJupyter", "startSsh",
    "templateId",
}  # fmt: skip
_CLUSTER = (_CONTAINER - {"registry"}) | {
    "name", "type", "compute", "dataCenterIds", "mounts", "startJupyter", "startSsh",
}  # fmt: skip
_GPU = {"id", "count", "allowedCudaVersions", "minCudaVersion"}
GPUS: dict[str, tuple[int, float | None, float | None]] = {  # memory in GB, USD an hour: secure, community
    "NVIDIA GeForce RTX 4090": (24, 0.69, 0.34),
    "NVIDIA A100 80GB PCIe": (80, 1.64, 1.19),
    "NVIDIA H100 80GB HBM3": (80, 2.69, None),
}


@dataclass(repr=False)
class RunPod(Cloud):
    """The fake; `out_of_stock` are GPU ids that the catalog has none of."""

    out_of_stock: set[str] = field(default_factory=set)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        """As the service would."""
        match method, path.strip("/").split("/"):
            case "GET", ["v2", "catalog", "gpus"]:
                return self._catalog(query)
            case "POST", ["v2", "pods"]:
                return self._create(body)
            case "POST", ["v2", "clusters"]:
                return self._create_cluster(body)
            case "GET", ["v2", "pods"]:
                return 200, {"pods": [self._pod(box) for box in self.living if box.nodes == 1]}
            case "GET", ["v2", "clusters"]:
                return 200, {"clusters": [self._cluster(box) for box in self.living if box.nodes > 1]}
            case "GET", ["v2", "clusters", identity, "pods"]:
                box = self._of(identity, cluster=True)
                return (200, {"pods": self._members(box)}) if box else _problem(404, "resource not found")
            case "GET" | "DELETE" as verb, ["v2", "pods" | "clusters" as kind, identity]:
                box = self._of(identity, cluster=kind == "clusters")
                if box is None:
                    return _problem(404, "resource not found")
                if verb == "DELETE":
                    self.end(box)
                    return 204, None
                return 200, self._cluster(box) if box.nodes > 1 else self._pod(box)
            case _:
                return _problem(405, "The requested method is not allowed for this path.")

    def billed(self) -> float:
        """USD until now; one that exited costs nothing but its disk, which is gone with it."""
        return sum(self.seconds(box) / 3600 * box.price for box in self.boxes if box.broken != "EXITED")

    def _of(self, identity: str, cluster: bool) -> Box | None:
        box = self.box(identity)
        return box if box is not None and (box.nodes > 1) == cluster else None

    def _catalog(self, query: dict[str, str]) -> Answer:
        if (query.get("include") == "AVAILABILITY") != ("product" in query):
            return _problem(400, "product is required with include=AVAILABILITY")
        rows = [
            {
                "id": identity,
                "name": identity.removeprefix("NVIDIA "),
                "memory": memory,
                "price": {"secure": secure, "community": community},
                "maxCount": {"secure": 8, "community": 4},
                "availability": "NONE" if identity in self.out_of_stock else "HIGH",
            }
            for identity, (memory, secure, community) in GPUS.items()
        ]
        return 200, {"gpus": rows}

    def _create(self, body: dict[str, Any]) -> Answer:
        unknown = set(body) - _POD | set(body.get("gpu", {})) - _GPU
        if unknown or not body.get("name") or not body.get("image"):
            return _problem(422, f"unknown or missing fields: {sorted(unknown)}")
        gpu, side = body["gpu"], body.get("cloud", "SECURE")
        price = GPUS[gpu["id"]][1 if side == "SECURE" else 2]
        if price is None or gpu["id"] in self.out_of_stock:
            return _problem(400, "Insufficient resources")
        return 201, self._pod(self.add(body["name"], price * gpu["count"], body, what=gpu["id"]), looked=False)

    def _create_cluster(self, body: dict[str, Any]) -> Answer:
        compute = body.get("compute", {})
        if set(body) - _CLUSTER or set(compute) != {"gpuTypeId", "gpuCountPerPod", "podCount"} or not body.get("type"):
            return _problem(422, "Request validation failed.")
        price = GPUS[compute["gpuTypeId"]][1] or 0.0
        total = price * compute["gpuCountPerPod"] * compute["podCount"]
        box = self.add(body["name"], total, body, what=compute["gpuTypeId"], nodes=compute["podCount"])
        return 201, self._cluster(box)

    def _pod(self, box: Box, looked: bool = True) -> dict[str, Any]:
        runs = self.runs(box) if looked else False
        host, port = self.ssh
        direct = {"host": host, "port": port, "username": self.user, "command": f"ssh {self.user}@{host} -p {port}"}
        return {
            "id": box.id,
            "name": box.label,
            "status": box.broken or ("RUNNING" if runs else "STARTING" if box.looks else "PROVISIONING"),
            "actions": ["stop", "terminate"],
            "gpu": {"id": box.what, "count": box.asked.get("gpu", {}).get("count", 1)},
            "cloud": box.asked.get("cloud", "SECURE"),
            "ssh": {"proxy": None, "direct": direct if runs and "22/tcp" in box.asked.get("ports", []) else None},
            "cost": 0.0 if box.broken == "EXITED" else box.price / box.nodes,
            "createdAt": datetime.fromtimestamp(box.created, UTC).isoformat().replace("+00:00", "Z"),
            "disk": box.asked.get("disk"),
        }

    def _members(self, box: Box) -> list[dict[str, Any]]:
        pods = []
        for rank in reversed(range(box.nodes)):
            pod = self._pod(box) | {"id": f"{box.id}-{rank}", "name": f"node-{rank}"}
            pods.append(pod | {"cluster": {"id": box.id, "rank": rank, "ip": f"10.65.0.{rank + 2}"}})
        return pods

    def _cluster(self, box: Box) -> dict[str, Any]:
        return {
            "id": box.id,
            "name": box.label,
            "type": box.asked["type"],
            "compute": box.asked["compute"],
            "pods": {"total": box.nodes, "byStatus": {"RUNNING": box.nodes}},
            "createdAt": datetime.fromtimestamp(box.created, UTC).isoformat(),
        }


def _problem(status: int, detail: str) -> Answer:
    return status, {"title": "planted", "status": status, "detail": detail}


@contextmanager
def runpod(**settings: Any) -> Iterator[RunPod]:
    """A RunPod on loopback; its address is `.url`, the key it takes `fakes.cloud.KEY`."""
    cloud = RunPod(**settings)
    with serving(cloud):
        yield cloud
