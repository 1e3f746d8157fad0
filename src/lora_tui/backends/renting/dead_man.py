"""What a rented machine does by itself when nobody gives it back."""

from __future__ import annotations

import time

GRACE_HOURS = 0.25  # between the end of the lease and the machine ending itself

_END = {
    "runpod": (
        'runpodctl pod delete "$RUNPOD_POD_ID"'
        ' || runpodctl remove pod "$RUNPOD_POD_ID"'
        ' || curl -fsS -X DELETE -H "Authorization: Bearer $RUNPOD_API_KEY"'
        ' "https://api.runpod.io/v2/pods/$RUNPOD_POD_ID"'
        ' || runpodctl pod stop "$RUNPOD_POD_ID"'
    ),
    "vast": (
        'curl -fsS -X DELETE -H "Authorization: Bearer $CONTAINER_API_KEY"'
        ' "https://console.vast.ai/api/v0/instances/$CONTAINER_ID/"'
        ' || vastai destroy instance "$CONTAINER_ID" --api-key "$CONTAINER_API_KEY"'
    ),
}


def dead_man(provider: str, hours: float, began: float | None = None) -> str:
    """A shell command for the machine: wait until `hours` and a quarter have passed since `began`, then end it.

    It waits for a time of day, so that a container that starts again does not begin to count anew, and goes on asking
    until the machine is gone. RunPod documents `sleep 2h; runpodctl pod stop $RUNPOD_POD_ID` for this, `runpodctl pod
    delete`, and $RUNPOD_POD_ID; that $RUNPOD_API_KEY lets a pod end itself is from memory, and a pod of a cluster may
    not do it at all. $CONTAINER_ID and $CONTAINER_API_KEY are what public programs on Vast end themselves with. None of
    it has been run against the services.
    """
    end = int((time.time() if began is None else began) + (hours + GRACE_HOURS) * 3600)
    environment = "" if provider == "runpod" else ". /etc/environment 2>/dev/null; "
    return (
        f"{environment}while [ $(date +%s) -lt {end} ]; do sleep 20; done; while :; do {_END[provider]}; sleep 60; done"
    )
