"""An adapter on a dedicated endpoint of Together's, which costs by the minute until it is torn down or nobody asks it.

The order is that of its API v2: endpoint, deployment of the base (never without `inactive_timeout`), wait until it is
ready, traffic, adapter, wait until that is loaded. What was made is told at once, so that it can be torn down again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from lora_tui.backends.counting import Tell, unheard
from lora_tui.backends.together.client import ServiceError, asking, plain
from lora_tui.backends.together.endpoints import hardware, price_of, torn_down
from lora_tui.backends.together.registry_upload import Hosting, hosting
from lora_tui.backends.together.stay import pause
from lora_tui.workspace.errors import BadInput, LoraTuiError

if TYPE_CHECKING:
    from together import Together

SHORTEST, LONGEST = 30, 1440  # minutes without a request after which a deployment stops; what Together allows
_READY_SECONDS = 2400.0  # documented: up to 20 minutes
_ADAPTER_SECONDS = 600.0
_SECONDS = 3600.0

Made = Callable[[str, str], None]  # (kind, id) of what costs or lies there from now on


class Served(msgspec.Struct, frozen=True):
    """An endpoint that answers. `model` is what a chat request names; USD an hour for each replica."""

    endpoint: str
    deployment: str
    adapter: str
    model: str
    hardware: str = ""
    price_per_hour: float | None = None  # None: the price list does not have it
    inactive_timeout: int = SHORTEST  # minutes

    def cost(self, seconds: float, replicas: int = 1) -> float | None:
        """What it has cost after so long, in USD; None where the price is not known."""
        return None if self.price_per_hour is None else self.price_per_hour * seconds / _SECONDS * replicas


def _unnoticed(kind: str, identity: str) -> None:
    """For who keeps no record."""


def deployed(
    client: Together,
    adapter: str,
    base_model: str,
    name: str,
    *,
    inactive_timeout: int = SHORTEST,
    replicas: int = 1,
    made: Made = _unnoticed,
    tell: Tell = unheard,
) -> Served:
    """Serve a registered adapter (its id) on its base under the endpoint `name`. client: of a project.

    made: told of the endpoint and the deployment as soon as they are there. On any error both are taken down again.
    Raises BadInput for a timeout that Together does not allow, ServiceError, LoraTuiError where it does not get ready.
    """
    if not SHORTEST <= inactive_timeout <= LONGEST:
        message = f"a deployment may wait {SHORTEST} to {LONGEST} minutes for requests, not {inactive_timeout}"
        raise BadInput(message, where="--inactive-timeout")
    way, price = quoted(client, base_model)
    model = adapter_name(client, adapter)
    endpoint = ""
    try:
        endpoint = _endpoint(client, name)
        made("endpoint", endpoint)
        with asking("making the deployment"):
            # Not tried again by the SDK: a lost answer could leave one that nobody knows and that costs.
            answer = client.with_options(max_retries=0).endpoints.deployments.create(
                endpoint,
                name=name,
                model=way.model,
                config=way.config,
                autoscaling={"min_replicas": replicas, "max_replicas": replicas},
                inactive_timeout=inactive_timeout,
            )
            deployment = str(plain(answer)["id"])
        made("deployment", deployment)
        runs_on = _until_ready(client, endpoint, deployment, tell)
        with asking("directing requests to it"):
            client.endpoints.update(endpoint, traffic_split=[{"deployment_id": deployment, "weight": 1.0}])
        _load(client, endpoint, deployment, adapter, tell)
    except BaseException as error:
        if endpoint:
            _take_down_after(client, endpoint, error)
        raise
    return Served(
        endpoint=endpoint,
        deployment=deployment,
        adapter=adapter,
        model=model,
        hardware=runs_on,
        price_per_hour=price,
        inactive_timeout=inactive_timeout,
    )


def _endpoint(client: Together, name: str) -> str:
    """A new endpoint's id; it costs nothing without a deployment. Raises BadInput where the name is taken."""
    try:
        with asking(f"making the endpoint {name}"):
            return str(plain(client.endpoints.create(name=name))["id"])
    except ServiceError as error:
        if error.status != 409:
            raise
        raise BadInput(
            f"there is an endpoint {name} already, which serves or was left behind",
            where="together deploy",
            fix=f"Take another --name, or that one down: lora-tui together teardown {name}",
        ) from error


def _take_down_after(client: Together, endpoint: str, error: BaseException) -> None:
    """Raises LoraTuiError where what was made could not be taken down again and may cost."""
    try:
        torn_down(client, endpoint)
    except (LoraTuiError, KeyboardInterrupt) as left:
        why = _in_words(error)
        raise LoraTuiError(
            f"{why}; and the endpoint could not be taken down, it may cost ({_in_words(left)})",
            where=endpoint,
            fix=f"Take it down as soon as Together answers: lora-tui together teardown {endpoint}",
        ) from error


def _in_words(error: BaseException) -> str:
    if isinstance(error, LoraTuiError):
        return error.what
    return "interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__


def quoted(client: Together, base_model: str) -> tuple[Hosting, float | None]:
    """How a base would be served, and for how much an hour and replica in USD; None where no price is known."""
    way = hosting(client, base_model)
    return way, _price(client, way.gpu, way.gpus)


def adapter_name(client: Together, adapter: str) -> str:
    """What a chat request names to reach an adapter."""
    with asking(f"what {adapter} is called"):
        found = next((plain(item) for item in client.models.list() if plain(item)["id"] == adapter), None)
        return str(found["name"]) if found else adapter


def _until_ready(client: Together, endpoint: str, deployment: str, tell: Tell) -> str:
    """Wait for the deployment; what it runs on."""
    began = time.monotonic()
    while True:
        with asking(f"looking at {deployment}"):
            found = plain(client.endpoints.deployments.retrieve(deployment, endpoint_id=endpoint))
            state = str(found["status"]["state"]).removeprefix("DEPLOYMENT_STATE_").lower()
            message = str(found["status"].get("message") or "")
        if state == "ready":
            return str(found.get("hardware") or "")
        age = time.monotonic() - began
        if state in ("failed", "stopped") or age > _READY_SECONDS:
            raise LoraTuiError(
                f"the deployment is {state}{f': {message}' if message else ''}",
                where=deployment,
                fix="It was taken down again. Try later, or another base.",
            )
        tell(f"the deployment is {state}", int(age), int(_READY_SECONDS))
        time.sleep(pause(age))


def _load(client: Together, endpoint: str, deployment: str, adapter: str, tell: Tell) -> None:
    """Load the adapter and wait for it: how it is loaded has an id of its own (dad_…), by which it is looked at."""
    with asking(f"loading {adapter}"):
        answer = client.endpoints.adapters.create(
            endpoint_id=endpoint, deployment_id=deployment, adapter_model_id=adapter
        )
        loading = str(plain(answer)["id"])
    began = time.monotonic()
    while True:
        with asking(f"looking at {adapter}"):
            found = plain(client.endpoints.adapters.retrieve(loading, endpoint_id=endpoint, deployment_id=deployment))
            clusters = found.get("perCluster") or []
            states = [str(item["state"]).removeprefix("ADAPTER_LOAD_STATE_").lower() for item in clusters]
            reasons = [str(item.get("message") or item.get("reason") or "") for item in clusters]
        if states and all(state == "ready" for state in states):
            return
        age = time.monotonic() - began
        if "failed" in states or age > _ADAPTER_SECONDS:
            why = next((reason for reason in reasons if reason), "it gives no reason")
            raise LoraTuiError(
                f"Together does not load the adapter: {why}", where=adapter, fix="Does its base match the deployment's?"
            )
        tell("loading the adapter", int(age), int(_ADAPTER_SECONDS))
        time.sleep(pause(age))


def _price(client: Together, gpu: str, gpus: int) -> float | None:
    """USD an hour of the instance type with these GPUs; None where the list has none."""
    listed = hardware(client)
    with asking("what hardware costs"):
        found = [
            price_of(item)
            for item in listed
            if str(item.get("gpuType", "")).lower() == gpu.lower() and int(item.get("gpuCount") or 1) == gpus
        ]
        return min(found) if found else None
