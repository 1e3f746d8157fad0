"""Files and fine-tuning jobs of the fake Together. A job advances by one tick each time it is looked at."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import zstandard

if TYPE_CHECKING:
    from fakes.together import Answer, Request

BASES = ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen3-8B", "meta-llama/Llama-3.1-8B-Instruct")
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
STEPS_PER_EPOCH = 4


@dataclass
class File:
    """One upload."""

    id: str
    name: str
    checksum: str
    data: bytes | None = None
    looks: int = -1  # at its validation; -1: it was not asked for


@dataclass
class Job:
    """One fine-tuning job; `asked` is the body of its create."""

    id: str
    asked: dict[str, Any]
    status: str = "pending"
    step: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        return int(self.asked["n_epochs"]) * STEPS_PER_EPOCH


def adapter_files(r: int = 8) -> dict[str, bytes]:
    """A tiny adapter in PEFT's layout."""
    config = {"peft_type": "LORA", "r": r, "lora_alpha": 16, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    values = bytes(range(256)) * 64
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    header = json.dumps({name: {"dtype": "F32", "shape": [r, len(values) // 4 // r], "data_offsets": [0, len(values)]}})
    padded = header.encode() + b" " * (-len(header) % 8)
    weights = len(padded).to_bytes(8, "little") + padded + values
    return {"adapter_config.json": json.dumps(config).encode(), "adapter_model.safetensors": weights}


def archived(files: dict[str, bytes]) -> bytes:
    """A .tar.zst of them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return zstandard.ZstdCompressor().compress(packed.getvalue())


class Jobs:
    """Files, jobs and what they cost."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.jobs: dict[str, Job] = {}
        self.price = 3.30  # USD of a job of three epochs
        self.allowed = True
        self.invalid = ""  # what the validation finds wrong with every file
        self.hold_at: int | None = None  # no job goes beyond this step
        self.archive = archived(adapter_files())
        self.cuts: list[int] = []  # bytes of each coming download's answer before its connection breaks
        self.ranges: list[str] = []  # what downloads asked for
        self.ends_with = "completed"
        self.tells_suffix = True  # whether jobs are listed with it
        self.tells_price = True
        self.validation_fails = False  # by itself, not for the file's content
        self.restarts_at: int | None = None  # the step at which a job is started again from its beginning, once
        self.on_download: Callable[[], object] = lambda: None

    def answer(self, request: Request, url: str) -> Answer | None:
        """None where the path is not of files or jobs."""
        for method, path, do in self._routes(url):
            found = re.fullmatch(path, request.path)
            if found and request.method == method:
                return do(request, *found.groups())
        return None

    def _routes(self, url: str) -> list[tuple[str, str, Callable[..., Answer]]]:
        from fakes.together import Answer

        def upload(request: Request) -> Answer:
            checksum = re.search(rb'name="checksum"\r\n\r\n(\w+)', request.body)
            name = re.search(rb'name="file_name"\r\n\r\n([^\r]+)', request.body)
            assert checksum is not None
            assert name is not None
            known = [item for item in self.files.values() if item.checksum.encode() == checksum[1] and item.looks >= 0]
            if known:
                return Answer(409, {"file_id": known[0].id}, headers={"x-should-retry": "false"})
            item = File(f"file-{len(self.files) + 1}", name[1].decode(), checksum[1].decode())
            self.files[item.id] = item
            return Answer(302, headers={"Location": f"{url}/store/{item.id}", "X-Together-File-Id": item.id})

        def put(request: Request, identity: str) -> Answer:
            self.files[identity].data = request.body
            assert hashlib.sha256(request.body).hexdigest() == self.files[identity].checksum
            return Answer(200, raw=b"")

        def preprocess(request: Request, identity: str) -> Answer:
            self.files[identity].looks = 0
            return Answer(200, self._file(self.files[identity]))

        def file(request: Request, identity: str) -> Answer:
            if identity not in self.files:
                return _no(f"there is no file {identity}")
            self.files[identity].looks += 1
            return Answer(200, self._file(self.files[identity]))

        def files(request: Request) -> Answer:
            return Answer(200, {"data": [self._file(item) for item in self.files.values()]})

        def limits(request: Request) -> Answer:
            name = request.query["model_name"]
            if name not in BASES:
                return _no(f"model {name} is not supported for fine-tuning")
            return Answer(200, limits_of(name))

        def estimate(request: Request) -> Answer:
            if not self._valid(request.data["training_file"]):
                reason = "train_file_not_validated"
                return Answer(200, {"estimation_available": False, "unavailable_reason": reason})
            price = round(self.price * request.data["n_epochs"] / 3, 4)
            data = {"estimated_total_price": price, "estimated_train_token_count": 5000, "user_limit": 25.0}
            data |= {"estimated_eval_token_count": 100, "allowed_to_proceed": self.allowed}
            return Answer(200, {"estimation_available": True, **data})

        def create(request: Request) -> Answer:
            asked = request.data
            if not self._valid(asked["training_file"]):
                return Answer(422, {"error": {"message": "training file is not validated"}})
            job = Job(f"ft-{len(self.jobs) + 1}", asked)
            self.jobs[job.id] = job
            self._say(job, "job_pending", "Fine-tune request created")
            return Answer(200, self._job(job))

        def jobs(request: Request) -> Answer:
            return Answer(200, {"data": [self._job(job) for job in reversed(self.jobs.values())]})

        def job(request: Request, identity: str) -> Answer:
            if identity not in self.jobs:
                return _no(f"there is no job {identity}")
            self._tick(self.jobs[identity])
            return Answer(200, self._job(self.jobs[identity]))

        def events(request: Request, identity: str) -> Answer:
            return Answer(200, {"data": self.jobs[identity].events})

        def metrics(request: Request, identity: str) -> Answer:
            first = int(request.query.get("global_step_from", 0))
            rows = [row for row in self.jobs[identity].metrics if row["train/global_step"] >= first]
            return Answer(200, {"metrics": rows})

        def checkpoints(request: Request, identity: str) -> Answer:
            listed = [
                {"step": step, "checkpoint_type": "Intermediate", "path": f"s3://x/{step}", "created_at": _at(step)}
                for step in self.jobs[identity].checkpoints
            ]
            return Answer(200, {"data": listed})

        def cancel(request: Request, identity: str) -> Answer:
            job = self.jobs[identity]
            job.status = "cancel_requested"
            self._say(job, "cancel_requested", "Cancel requested")
            return Answer(200, self._job(job))

        def download(request: Request) -> Answer:
            return self._download(request)

        return [
            ("POST", r"/v1/files", upload),
            ("GET", r"/v1/files", files),
            ("PUT", r"/store/(file-[^/]+)", put),
            ("POST", r"/v1/files/([^/]+)/preprocess", preprocess),
            ("GET", r"/v1/files/([^/]+)", file),
            ("GET", r"/v1/fine-tunes/models/limits", limits),
            ("POST", r"/v1/fine-tunes/estimate-price", estimate),
            ("POST", r"/v1/fine-tunes", create),
            ("GET", r"/v1/fine-tunes", jobs),
            ("GET", r"/v1/fine-tunes/([^/]+)", job),
            ("GET", r"/v1/fine-tunes/([^/]+)/events", events),
            ("GET", r"/v1/fine-tunes/([^/]+)/metrics", metrics),
            ("GET", r"/v1/fine-tunes/([^/]+)/checkpoints", checkpoints),
            ("POST", r"/v1/fine-tunes/([^/]+)/cancel", cancel),
            ("GET", r"/v1/finetune/download", download),
        ]

    def _valid(self, identity: str) -> bool:
        return identity in self.files and self._file(self.files[identity])["processing_status"] == "COMPLETED"

    def _file(self, item: File) -> dict[str, Any]:
        status = ("PENDING", "RUNNING", "COMPLETED")[min(max(item.looks, 0), 2)]
        data: dict[str, Any] = {"id": item.id, "bytes": len(item.data or b""), "created_at": 1, "filename": item.name}
        data |= {"FileType": "jsonl", "object": "file", "purpose": "fine-tune", "processing_status": status}
        if status == "COMPLETED":
            wrong = self.invalid or _wrong(item.data or b"")
            lines = (item.data or b"").count(b"\n")
            report = {"valid": not wrong, "nlines": lines, "dataset_format": "CONVERSATION", "file_id": item.id}
            if self.validation_fails:
                data["processing_status"] = "FAILED"
                report = {"valid": False, "file_id": item.id}
            elif wrong:
                data["processing_status"] = "INVALID_FORMAT"
                report |= {"error": wrong, "error_type": "INVALID_FORMAT"}
            data["validation_report"] = report
        return data

    def _job(self, job: Job) -> dict[str, Any]:
        price = round(self.price * job.step / (3 * STEPS_PER_EPOCH) * 1e9)
        data: dict[str, Any] = {"id": job.id, "status": job.status, "created_at": _at(0), "updated_at": _at(job.step)}
        suffix = job.asked.get("suffix")
        data |= {"user_id": "u", "total_price": price if self.tells_price else None, "events": job.events}
        data |= {"suffix": suffix if self.tells_suffix else None, "model_output_name": f"me/Base-{suffix}-{job.id}"}
        data |= {"model": job.asked.get("model"), "n_epochs": job.asked["n_epochs"], "adapter_output_name": None}
        if job.status == "completed":
            data["adapter_object_id"] = f"ml_of_{job.id}"
        return data

    def _say(self, job: Job, type: str, message: str, **more: Any) -> None:
        event = {"object": "fine-tune-event", "type": type, "level": "info", "message": message}
        job.events.append({**event, "created_at": _at(len(job.events)), **more})

    def _tick(self, job: Job) -> None:
        match job.status:
            case "pending":
                job.status = "queued"
            case "queued":
                job.status = "running"
                self._say(job, "TRAINING_START", "Training started", total_steps=job.total, level="Info")
            case "running" if job.step == self.restarts_at:
                self.restarts_at = None
                self._say(job, "job_restarted", "Job restarted")
                job.step, job.metrics, job.checkpoints = 0, [], []
                self._say(job, "training_start", "Training started", total_steps=job.total)
            case "running" if self.hold_at is not None and job.step >= self.hold_at:
                return
            case "running":
                self._train(job)
            case "compressing":
                job.status = "uploading"
            case "uploading":
                job.status = self.ends_with
                self._say(job, "job_complete" if job.status == "completed" else "job_error", "The end", level="info")
            case "cancel_requested":
                job.status = "cancelled"

    def _train(self, job: Job) -> None:
        job.step += 1
        row = {"train/global_step": float(job.step), "train/loss": 3.0 / job.step, "train/learning_rate": 1e-4}
        row["train/grad_norm"] = 0.5
        if job.step % STEPS_PER_EPOCH == 0:
            if job.asked.get("n_evals"):
                row["eval/loss"] = 3.5 / job.step
            job.checkpoints.append(job.step)
            self._say(job, "checkpoint_save", "Checkpoint saved", step=job.step)
            self._say(job, "epoch_complete", f"Epoch {job.step // STEPS_PER_EPOCH} complete", step=job.step)
        job.metrics.append(row)
        if job.step == job.total:
            job.status = "compressing"
            self._say(job, "training_complete", "Training completed")

    def _download(self, request: Request) -> Answer:
        from fakes.together import Answer

        self.on_download()
        whole = self.archive
        asked = request.headers.get("range", "")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        if start >= len(whole):
            return Answer(416, headers={"Content-Range": f"bytes */{len(whole)}"}, raw=b"")
        headers = {"Content-Type": "application/octet-stream"}
        headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        cut = self.cuts.pop(0) if self.cuts else None
        return Answer(206, raw=whole[start:], headers=headers, cut=cut)


def limits_of(name: str) -> dict[str, Any]:
    """What may be asked of a base."""
    lora = {"default_rank": 64, "max_rank": 64, "min_batch_size": 8, "max_batch_size": 16, "max_batch_size_dpo": 8}
    return {
        "model_name": name,
        "lora_training": {**lora, "target_modules": MODULES},
        "default_gradient_accumulation_steps": 1,
        "max_num_epochs": 20,
        "max_num_evals": 100,
        "max_num_checkpoints": 10,
        "min_learning_rate": 1e-8,
        "max_learning_rate": 0.1,
        "max_seq_length_sft": 32768,
        "max_seq_length_dpo": 16384,
        "min_max_seq_length": 256,
        "merge_output_lora": True,
        "supports_full_training": True,
        "supports_reasoning": False,
        "supports_tools": True,
        "supports_vision": False,
    }


def _wrong(data: bytes) -> str:
    for number, line in enumerate(data.splitlines(), start=1):
        row = json.loads(line)
        roles = [message["role"] for message in row.get("messages", [])]
        if "assistant" not in roles or roles[0] not in ("system", "user"):
            return f"line {number}: the messages must begin with system or user and have an assistant's"
    return ""


def _at(second: int) -> str:
    return f"2026-11-20T10:{second // 60:02}:{second % 60:02}Z"


def _no(message: str) -> Answer:
    from fakes.together import Answer

    return Answer(404, {"error": {"message": message, "type": "not_found"}})
