"""A local adapter in Together's registry: a record with its base, then its files in parts of 20 MiB.

The SDK has the record (models.create) but not the upload of a folder, which lies in its command line's private code:
POST …/models/upload/create names each file with its S3 etag and gives an address for each part, each part is PUT,
POST …/models/upload/complete makes the revision. A file that is there already is skipped, so a second call goes on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from lora_tui.backends.counting import Tell, unheard
from lora_tui.backends.together.client import ServiceError, asking, connected, in_project, plain
from lora_tui.backends.together.stay import pause
from lora_tui.workspace.errors import BadInput

if TYPE_CHECKING:
    from together import Together

PART = 20 * 1024**2  # bytes, as the SDK's own command line cuts files
_FILES = ("adapter_config.json", "adapter_model.safetensors")
_TRIES = 5  # of a part
_TIMEOUT = httpx.Timeout(1800.0, connect=10.0)


class Hosting(msgspec.Struct, frozen=True):
    """How Together serves a base that adapters can be loaded onto: a deployment profile of its catalogue."""

    name: str  # of the base
    model_id: str  # ml_…
    model: str  # projects/…/models/…
    config: str  # projects/…/configs/…
    gpu: str = ""
    gpus: int = 1


class _Local(msgspec.Struct, frozen=True):
    path: Path
    name: str
    etag: str
    parts: int


def upload_adapter(folder: Path, name: str, base_model: str, tell: Tell = unheard) -> str:
    """Register the adapter in `folder` as `name` (bare) on a base of Together's catalogue; the id of its record.

    Called again after an error, or by another process, it goes on with the record of that name. Raises BadInput where
    the folder is no adapter or the base is none of Together's, ServiceError where Together refuses or fails.
    """
    files = [_local(folder / file) for file in _FILES]
    client = in_project(connected())
    found = hosting(client, base_model)
    identity = _record(client, name, found.model_id)
    _upload(client, identity, files, tell)
    return identity


def hosting(client: Together, base_model: str) -> Hosting:
    """How a base is served with adapters; where the catalogue has several ways, those that load them while running.

    Raises BadInput where the catalogue has none.
    """
    with asking(f"how {base_model} is served"):
        ways: list[tuple[bool, Hosting]] = []
        for model in client.models.list_supported(search=base_model):
            for profile in plain(model).get("deploymentProfiles") or []:
                mode = str(profile.get("adapterMode") or "")
                if not (profile.get("model") and profile.get("config")):  # it pins none: nothing to deploy
                    continue
                if base_model in (profile.get("modelName"), plain(model)["name"]) and mode.endswith(
                    ("DYNAMIC", "FIXED")
                ):
                    path = str(profile["model"])
                    way = Hosting(
                        name=base_model,
                        model_id=path.partition("/models/")[2].partition("/")[0],
                        model=path,
                        config=str(profile["config"]),
                        gpu=str(profile.get("gpuType") or ""),
                        gpus=int(profile.get("gpuCount") or 1),
                    )
                    ways.append((mode.endswith("FIXED"), way))
    if not ways:
        raise BadInput(
            f"Together serves no adapters on {base_model}",
            where="base model",
            fix="Name a base of the same shape with --base (`lora-tui together models` lists them), or merge the "
            "adapter and upload the whole model as a variant of one.",
        )
    return min(ways, key=lambda way: way[0])[1]


def _record(client: Together, name: str, base: str) -> str:
    """The id of the registry's record, made where there is none."""
    with asking("which models the registry has"):
        for model in client.models.list():
            known = plain(model)
            if known.get("projectId") not in (None, client.project_id):  # shared by another project: not ours to write
                continue
            if str(known.get("name", "")).rpartition("/")[2] == name:
                if known.get("baseModelId") not in (None, base):
                    fix = "Give the upload another --name."
                    raise BadInput(f"the registry has a {name!r} on another base", where=str(known["id"]), fix=fix)
                return str(known["id"])
    with asking(f"registering {name}"):
        return str(plain(client.models.create(name=name, base_model_id=base, type="adapter"))["id"])


def _upload(client: Together, identity: str, files: list[_Local], tell: Tell) -> None:
    at = f"/v2/projects/{client.project_id}/models/upload"
    asked = [{"path": file.name, "hash": file.etag, "numParts": file.parts} for file in files]
    with asking("planning the upload"):
        answer: Any = client.post(f"{at}/create", cast_to=object, body={"objectId": identity, "files": asked})
        planned = {str(item["path"]): item for item in answer["files"]}
    total = sum(file.path.stat().st_size for file in files)
    sent = 0
    done: list[dict[str, Any]] = []
    with httpx.Client(timeout=_TIMEOUT) as plain_client:  # the addresses are signed: the key has no business there
        for file in files:
            item = planned.get(file.name, {})
            size = file.path.stat().st_size
            if item.get("skipUpload"):
                done.append({"path": file.name, "hash": file.etag, "skipUpload": True})
                sent += size
                continue
            parts = []
            for number, data in enumerate(_pieces(file.path), start=1):
                parts.append({"partNumber": number, "hash": _part(plain_client, item, number, data, file.name)})
                sent += len(data)
                tell(f"uploading {file.name}", sent, total)
            details = {"uploadId": item.get("uploadId", ""), "parts": parts}
            done.append({"path": file.name, "hash": file.etag, "uploadDetails": details})
    with asking("completing the upload"):
        client.post(f"{at}/complete", cast_to=object, body={"objectId": identity, "files": done})


def _part(client: httpx.Client, item: dict[str, Any], number: int, data: bytes, name: str) -> str:
    """Send one part to its address; its etag as the store says it."""
    doing = f"uploading {name}, part {number}"
    with asking(doing):
        part = next(part for part in item["parts"] if int(part["partNumber"]) == number)
    for attempt in range(1, _TRIES + 1):
        try:
            with asking(doing):
                answer = client.put(str(part["url"]), content=data, headers=part.get("headers") or {})
            if answer.status_code == 200 and (etag := answer.headers.get("etag", "").strip().strip('"')):
                return str(etag)
            raise ServiceError(
                f"the store did not take it (HTTP {answer.status_code})",
                where=doing,
                fix="Upload it again: what is there is not sent again.",
                status=answer.status_code,
                passing=answer.status_code >= 500 or answer.status_code == 429,
            )
        except ServiceError as error:
            if not error.passing or attempt == _TRIES:
                raise
        time.sleep(pause(0.0) * attempt)
    raise AssertionError("unreachable")


def _local(path: Path) -> _Local:
    if not path.is_file() or not path.stat().st_size:
        raise BadInput(f"there is no {path.name}", where=str(path.parent), fix="Name the folder of an adapter.")
    sums = [hashlib.md5(data, usedforsecurity=False).digest() for data in _pieces(path)]
    etag = sums[0].hex()
    if len(sums) > 1:
        etag = f"{hashlib.md5(b''.join(sums), usedforsecurity=False).hexdigest()}-{len(sums)}"  # as S3 counts parts
    return _Local(path, path.name, etag, len(sums))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(PART):
            yield data
