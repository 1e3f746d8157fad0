"""The project's endpoints at Together: what they cost, and taking them down so that they cost nothing more."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from lora_tui.backends.together.client import ServiceError, asking, plain
from lora_tui.backends.together.stay import pause

if TYPE_CHECKING:
    from together import Together

_CENTS, _SECONDS = 100.0, 3600.0
_STOPPING_SECONDS = 600.0  # that a deployment may take to stop


class Meter(msgspec.Struct, frozen=True):
    """A deployment and what it has cost since it was made, at the most: USD, with all its replicas at work."""

    endpoint: str
    name: str  # of the endpoint, with its project's before it: PROJECT/NAME
    deployment: str = ""
    state: str = ""
    hardware: str = ""
    replicas: int = 0
    price_per_hour: float | None = None  # of one replica; None: not in the price list
    cost: float | None = None  # None: it costs nothing, or nobody knows


def named(item: dict[str, Any], wanted: str) -> bool:
    """Whether an endpoint or model is meant: by its id, or its name with or without the project's before it."""
    name = str(item.get("name") or "")
    return wanted in (item["id"], name, name.rpartition("/")[2])


def beginning_with(client: Together, beginning: str) -> list[str]:
    """The ids of the endpoints whose own name begins so. Raises ServiceError."""
    return [
        str(item["id"])
        for item in _listed(client)
        if str(item.get("name") or "").rpartition("/")[2].startswith(beginning)
    ]


def torn_down(client: Together, endpoint: str) -> list[str]:
    """Stop and delete an endpoint (its id or name) with its deployments; the ids of what is gone.

    What is gone already is no error. Raises ServiceError where something may still cost.
    """
    found = next((item for item in _listed(client) if named(item, endpoint)), None)
    if found is None:
        return []
    identity = str(found["id"])
    with asking(f"which deployments {identity} has"):
        inside = [str(plain(item)["id"]) for item in client.endpoints.deployments.list(identity)]
    for deployment in inside:  # first of all: stopped it costs nothing, whatever else is refused
        _stop(client, identity, deployment)
    if found.get("trafficSplit"):
        with asking(f"directing no more requests to {identity}"):  # one that gets requests is not deleted
            client.endpoints.update(identity, traffic_split=[])
    for deployment in inside:
        _until_deleted(client, identity, deployment)
    with asking(f"deleting {identity}"):
        client.endpoints.delete(identity)
    return [*inside, identity]


def _listed(client: Together) -> list[dict[str, Any]]:
    with asking("which endpoints there are"):
        return [plain(item) for item in client.endpoints.list()]


def _stop(client: Together, endpoint: str, deployment: str) -> None:
    try:
        with asking(f"stopping {deployment}"):
            client.endpoints.deployments.update(
                deployment, endpoint_id=endpoint, autoscaling={"min_replicas": 0, "max_replicas": 0}
            )
    except ServiceError as error:
        if error.status != 404:
            raise


def _until_deleted(client: Together, endpoint: str, deployment: str) -> None:
    """Delete a deployment, which may need a while to stop before it can be."""
    began = time.monotonic()
    while True:
        try:
            with asking(f"deleting {deployment}"):
                client.endpoints.deployments.delete(deployment, endpoint_id=endpoint)
            return
        except ServiceError as error:
            if error.status == 404:
                return
            age = time.monotonic() - began
            if error.status not in (400, 409) or age > _STOPPING_SECONDS:
                raise
            time.sleep(pause(age))


def metered(client: Together) -> list[Meter]:
    """Every deployment of the project's endpoints with what it has cost; an endpoint without one costs nothing."""
    prices, listed = _prices(client), _listed(client)
    with asking("which endpoints there are"):
        return [_meter(item, part, prices) for item in listed for part in item.get("deployments") or [{}]]


def _meter(endpoint: dict[str, Any], part: dict[str, Any], prices: dict[str, float]) -> Meter:
    state = str(part.get("state") or (part.get("status") or {}).get("state") or "")
    state = state.removeprefix("DEPLOYMENT_STATE_").lower()
    scale = part.get("autoscaling") or {}
    replicas = int(scale.get("maxReplicas") or scale.get("minReplicas") or 0)  # the most is the least where not said
    hardware = str(part.get("hardware") or "")
    price = prices.get(hardware)
    runs = bool(replicas) and state not in ("stopped", "failed")
    seconds = time.time() - datetime.fromisoformat(str(part["createdAt"])).timestamp() if runs else 0.0
    return Meter(
        endpoint=str(endpoint["id"]),
        name=str(endpoint.get("name") or ""),
        deployment=str(part.get("id") or ""),
        state=state,
        hardware=hardware,
        replicas=replicas,
        price_per_hour=price,
        cost=None if price is None or not runs else price * replicas * max(0.0, seconds) / _SECONDS,
    )


def hardware(client: Together) -> list[dict[str, Any]]:
    """GET /v2/public/inference-instance-types: what replicas run on, with its price. Raises ServiceError."""
    with asking("what hardware costs"):
        listed: list[dict[str, Any]] = plain(client.endpoints.hardware.list()).get("data") or []
        return listed


def price_of(item: dict[str, Any]) -> float:
    """USD an hour of one replica on an instance type. To be called inside `asking`."""
    return float(item["priceCentsPerHour"]) / _CENTS


def _prices(client: Together) -> dict[str, float]:
    """By an instance type's id and its name: the documentation does not say which one deployments carry."""
    listed = hardware(client)
    with asking("what hardware costs"):
        return {str(item[key]): price_of(item) for item in listed for key in ("id", "name") if item.get(key)}
