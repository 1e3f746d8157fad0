"""The registry and the endpoints of the fake Together (its API's v2). A deployment is ready after two looks."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fakes.together_jobs import BASES

if TYPE_CHECKING:
    from fakes.together import Answer, Request

PROJECT, SLUG = "proj_1", "me"
HARDWARE = "1x_nvidia_h100_80gb_sxm"
_STOPS_AFTER = 2  # looks or tries, before a deployment that was stopped can be deleted


class Serving:
    """Models with their files, endpoints with their deployments; what runs costs."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, bytes] = {}  # path in the store -> content
        self.revisions: dict[str, dict[str, str]] = {}  # model -> file -> etag
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.deployments: dict[str, dict[str, Any]] = {}
        self.never_ready = False
        self.chats: dict[str, str] = {}  # what a model or an endpoint says; public models have no "me/" before them

    @property
    def running(self) -> list[str]:
        """Deployments that cost money."""
        return [item["id"] for item in self.deployments.values() if item["autoscaling"]["maxReplicas"]]

    def answer(self, request: Request, url: str) -> Answer | None:
        """None where the path is not of the registry or an endpoint."""
        for method, path, do in self._routes(url):
            found = re.fullmatch(path, request.path)
            if found and request.method == method:
                return do(request, *found.groups())
        return None

    def _routes(self, url: str) -> list[tuple[str, str, Callable[..., Answer]]]:
        from fakes.together import Answer

        inside = f"/v2/projects/{PROJECT}"

        def whoami(request: Request) -> Answer:
            project = {"id": PROJECT, "name": "Mine", "slug": SLUG}
            organization = {"id": "org_1", "name": "Us"}
            key = {"id": "key_1", "name": "test"}
            data = {"type": "project_api_key", "api_key": key, "organization": organization, "project": project}
            return Answer(200, data)

        def supported(request: Request) -> Answer:
            search = request.query.get("search", "").lower()
            found = [_supported(number, name) for number, name in enumerate(BASES) if search in name.lower()]
            return Answer(200, {"data": found, "object": "list"})

        def create_model(request: Request) -> Answer:
            if any(item["name"] == f"{SLUG}/{request.data['name']}" for item in self.models.values()):
                return Answer(409, {"error": {"message": "name is taken"}}, headers={"x-should-retry": "false"})
            identity = f"ml_{len(self.models) + 100}"
            base = request.data["base_model_id"] if "base_model_id" in request.data else request.data["baseModelId"]
            data = {"id": identity, "name": f"{SLUG}/{request.data['name']}", "projectId": PROJECT}
            data |= {"baseModelId": base, "type": request.data["type"], "organizationId": "org_1"}
            self.models[identity] = data | {"visibility": "VISIBILITY_PRIVATE", "weights": {}}
            return Answer(200, self.models[identity])

        def models(request: Request) -> Answer:
            return Answer(200, {"data": list(self.models.values()), "object": "list"})

        def plan_upload(request: Request) -> Answer:
            model = request.data["objectId"]
            files = []
            for item in request.data["files"]:
                there = self.revisions.get(model, {}).get(item["path"]) == item["hash"]
                parts = [
                    {"partNumber": number, "url": f"{url}/store/{model}/{item['path']}/{number}"}
                    for number in range(1, item["numParts"] + 1)
                ]
                files.append({"path": item["path"], "skipUpload": there, "uploadId": "up_1", "parts": parts})
            return Answer(200, {"files": files})

        def put_part(request: Request, place: str) -> Answer:
            self.parts[place] = request.body
            return Answer(200, raw=b"", headers={"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'})

        def complete(request: Request) -> Answer:
            model = request.data["objectId"]
            for item in request.data["files"]:
                if item.get("skipUpload"):
                    continue
                for part in item["uploadDetails"]["parts"]:
                    content = self.parts[f"{model}/{item['path']}/{part['partNumber']}"]
                    if hashlib.md5(content).hexdigest() != part["hash"]:
                        return Answer(422, {"error": {"message": f"etag of {item['path']} does not match"}})
                self.revisions.setdefault(model, {})[item["path"]] = item["hash"]
            return Answer(200, {"revisionId": "rev_1"})

        def hardware(request: Request) -> Answer:
            gpu = {"id": HARDWARE, "name": "1x H100 80GB", "description": "H100", "gpuCount": 1, "gpuType": "H100"}
            gpu |= {"gpuMemoryGib": 80, "priceCentsPerHour": 399, "regions": []}
            return Answer(200, {"data": [gpu], "object": "list"})

        def create_endpoint(request: Request) -> Answer:
            name = f"{SLUG}/{request.data['name']}"  # whatever is asked for, names come back with the project's
            if any(item["name"] == name for item in self.endpoints.values()):
                return Answer(409, {"error": {"message": "name is taken"}}, headers={"x-should-retry": "false"})
            identity = f"ep_{len(self.endpoints) + 1}"
            data = {"id": identity, "name": name, "projectId": PROJECT, "trafficSplit": []}
            self.endpoints[identity] = data
            return Answer(200, self._endpoint(identity))

        def endpoints(request: Request) -> Answer:
            return Answer(200, {"data": [self._endpoint(name) for name in self.endpoints], "object": "list"})

        def endpoint(request: Request, identity: str) -> Answer:
            return Answer(200, self._endpoint(identity)) if identity in self.endpoints else _no(identity)

        def update_endpoint(request: Request, identity: str) -> Answer:
            self.endpoints[identity]["trafficSplit"] = request.data["trafficSplit"]
            return Answer(200, self._endpoint(identity))

        def delete_endpoint(request: Request, identity: str) -> Answer:
            if any(item["endpointId"] == identity for item in self.deployments.values()):
                return Answer(409, {"error": {"message": "has deployments"}}, headers={"x-should-retry": "false"})
            return Answer(200, {"id": identity}) if self.endpoints.pop(identity, None) else _no(identity)

        def create_deployment(request: Request, endpoint: str) -> Answer:
            if "inactiveTimeout" not in request.data:
                return Answer(422, {"error": {"message": "the tests want an inactive timeout"}})
            identity = f"dep_{len(self.deployments) + 1}"
            data = {**request.data, "id": identity, "endpointId": endpoint, "looks": 0, "stopping": 0, "adapters": {}}
            data["name"] = f"{self.endpoints[endpoint]['name']}/{request.data['name']}"
            self.deployments[identity] = data
            return Answer(200, self._deployment(identity))

        def deployments(request: Request, endpoint: str) -> Answer:
            found = [item["id"] for item in self.deployments.values() if item["endpointId"] == endpoint]
            return Answer(200, {"data": [self._deployment(name) for name in found], "object": "list"})

        def deployment(request: Request, endpoint: str, identity: str) -> Answer:
            if identity not in self.deployments:
                return _no(identity)
            self.deployments[identity]["looks"] += 1
            return Answer(200, self._deployment(identity))

        def update_deployment(request: Request, endpoint: str, identity: str) -> Answer:
            self.deployments[identity] |= request.data
            return Answer(200, self._deployment(identity))

        def delete_deployment(request: Request, endpoint: str, identity: str) -> Answer:
            if identity not in self.deployments:
                return _no(identity)
            routed = any(item["deploymentId"] == identity for item in self.endpoints[endpoint]["trafficSplit"])
            self.deployments[identity]["stopping"] += 1
            stops = self.deployments[identity]["stopping"] <= _STOPS_AFTER
            if identity in self.running or routed or stops:
                why = "gets traffic" if routed else "is running" if identity in self.running else "is stopping"
                return Answer(409, {"error": {"message": why}}, headers={"x-should-retry": "false"})
            del self.deployments[identity]
            return Answer(200, {"id": identity})

        def load_adapter(request: Request, endpoint: str, identity: str) -> Answer:
            model = request.data["adapterModelId"]
            self.deployments[identity]["adapters"][model] = 0
            return Answer(200, self._adapter(identity, model))

        def adapter(request: Request, endpoint: str, identity: str, loading: str) -> Answer:
            model = loading.removeprefix("dad_of_")  # by the id of the loading alone, not by the adapter's
            if model == loading or model not in self.deployments[identity]["adapters"]:
                return _no(loading)
            self.deployments[identity]["adapters"][model] += 1
            return Answer(200, self._adapter(identity, model))

        def listed(request: Request) -> Answer:
            names = [name for name in self.chats if not name.startswith(f"{SLUG}/")]
            return Answer(200, [{"id": name, "object": "model", "type": "chat"} for name in names])

        def said(request: Request) -> Answer:
            model = request.data["model"]
            if model not in self.chats:
                error = {"message": f"Unable to access model {model}.", "type": "invalid_request_error"}
                return Answer(400, {"error": error})
            usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
            shared = {"id": "c", "model": model, "usage": usage}
            if not request.data.get("stream"):
                message = {"role": "assistant", "content": self.chats[model]}
                return Answer(200, {**shared, "choices": [{"index": 0, "message": message, "finish_reason": "eos"}]})
            delta = {"role": "assistant", "content": self.chats[model]}
            events = [
                {"id": "c", "model": model, "usage": None, "choices": [{"index": 0, "delta": delta}]},
                {**shared, "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": "eos"}]},
            ]
            lines = [f"data: {json.dumps(event)}" for event in events]
            raw = "\n\n".join([*lines, "data: [DONE]", ""]).encode()
            return Answer(200, raw=raw, headers={"Content-Type": "text/event-stream"})

        def chat(request: Request) -> Answer:
            if self.chats:
                return said(request)
            ready = any(item["looks"] >= 2 and item["adapters"] for item in self.deployments.values())
            if not ready or not any(item["trafficSplit"] for item in self.endpoints.values()):
                return Answer(503, {"error": {"message": "no traffic"}}, headers={"x-should-retry": "false"})
            message = {"role": "assistant", "content": f"I am {request.data['model']}"}
            return Answer(200, {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

        at = f"{inside}/endpoints/([^/]+)/deployments"
        return [
            ("GET", r"/v3/whoami", whoami),
            ("GET", r"/v2/supported-models", supported),
            ("GET", r"/v2/public/inference-instance-types", hardware),
            ("POST", rf"{inside}/models", create_model),
            ("GET", rf"{inside}/models", models),
            ("POST", rf"{inside}/models/upload/create", plan_upload),
            ("PUT", r"/store/(ml_.+)", put_part),
            ("POST", rf"{inside}/models/upload/complete", complete),
            ("POST", rf"{inside}/endpoints", create_endpoint),
            ("GET", rf"{inside}/endpoints", endpoints),
            ("GET", rf"{inside}/endpoints/([^/]+)", endpoint),
            ("PATCH", rf"{inside}/endpoints/([^/]+)", update_endpoint),
            ("DELETE", rf"{inside}/endpoints/([^/]+)", delete_endpoint),
            ("POST", at, create_deployment),
            ("GET", at, deployments),
            ("GET", rf"{at}/([^/]+)", deployment),
            ("PATCH", rf"{at}/([^/]+)", update_deployment),
            ("DELETE", rf"{at}/([^/]+)", delete_deployment),
            ("POST", rf"{at}/([^/]+)/adapters", load_adapter),
            ("GET", rf"{at}/([^/]+)/adapters/([^/]+)", adapter),
            ("GET", r"/v1/models", listed),
            ("POST", r"/v1/chat/completions", chat),
        ]

    def _endpoint(self, identity: str) -> dict[str, Any]:
        inside = [self._deployment(item["id"]) for item in self.deployments.values() if item["endpointId"] == identity]
        data = {"deployments": inside, "endpointType": "ENDPOINT_TYPE_DEDICATED", "etag": "1"}
        return {**data, **self.endpoints[identity], "createdAt": "2026-11-20T10:00:00Z"}

    def _deployment(self, identity: str) -> dict[str, Any]:
        data = {
            key: value
            for key, value in self.deployments[identity].items()
            if key not in ("looks", "stopping", "adapters")
        }
        ready = self.deployments[identity]["looks"] >= 2 and not self.never_ready
        state = "READY" if ready else "PROVISIONING"
        if not data["autoscaling"]["maxReplicas"]:
            state = "STOPPED"
        return {
            **data,
            "createdAt": self._now(),
            "status": {"state": f"DEPLOYMENT_STATE_{state}", "message": ""},
            "hardware": HARDWARE,
        }

    def _now(self) -> str:
        return datetime.now(UTC).isoformat()

    def _adapter(self, identity: str, model: str) -> dict[str, Any]:
        state = "READY" if self.deployments[identity]["adapters"][model] >= 1 else "LOADING"
        cluster = {"adapterModelId": model, "clusterId": "c", "state": f"ADAPTER_LOAD_STATE_{state}"}
        return {"id": f"dad_of_{model}", "adapterModelId": model, "etag": "1", "perCluster": [cluster]}


def _supported(number: int, name: str) -> dict[str, Any]:
    profile = {"model": f"projects/together/models/ml_{number}", "modelName": name, "config": f"projects/x/cr_{number}"}
    profile |= {"gpuCount": 1, "gpuType": "H100", "profileId": f"p{number}", "adapterMode": "ADAPTER_MODE_DYNAMIC"}
    data = {"id": f"sm_{number}", "name": name, "displayName": name, "baseModelId": f"ml_{number}"}
    bare = {name: value for name, value in profile.items() if name not in ("model", "config")}  # one that pins none
    profiles = [bare, profile]
    return {**data, "products": ["PRODUCT_FINE_TUNING"], "contextLength": "32768", "deploymentProfiles": profiles}


def _no(what: str) -> Answer:
    from fakes.together import Answer

    return Answer(404, {"error": {"message": f"there is no {what}"}})
