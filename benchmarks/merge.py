"""Merging 2, 3 and 5 adapters of Qwen2.5-7B's shape, beside PEFT's add_weighted_adapter.

    python benchmarks/merge.py [--adapters 2 3 5] [--repeat 2] [--no-dense] [--no-peft] [--scratch FOLDER]

28 layers of seven modules, r 16, bf16, 80.8 MB an adapter, synthetic factors: 4 of 16 directions are common to all
adapters, the spectrum falls as j^-0.7. Every figure is of a fresh process with one thread: CPU seconds (ours from the
start of Python to its end; PEFT's of the merge alone, without the loading), and the most memory it ever had. TIES and
DARE on ΔW are measured on 2 layers, times 14. PEFT's svd is measured on q_proj and k_proj of one layer, scaled by
m·n·min(m, n) to all. PEFT works on a base without weights, which would be another 15 GB.

Limits, for 5 adapters and fewer: average, weighted, task-arithmetic and slerp (of 2) 3 CPU s and 1 GB; core TIES and
DARE 10 CPU s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HIDDEN, INNER, KEYS, LAYERS, R, COMMON = 3584, 18944, 512, 28, 16, 4
SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KEYS, HIDDEN),
    "self_attn.v_proj": (KEYS, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INNER, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}
FEW = 2  # layers, for what is measured on few
SVD = ("self_attn.q_proj", "self_attn.k_proj")
LINEAR_SECONDS, LINEAR_BYTES, CORE_SECONDS = 3.0, 1e9, 10.0
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def main() -> int:
    """0 when every limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapters", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--repeat", type=int, default=2, help="ours, so often; the least counts")
    parser.add_argument("--no-dense", action="store_true", help="without TIES and DARE on ΔW: minutes")
    parser.add_argument("--no-peft", action="store_true")
    parser.add_argument("--scratch", type=Path, help="keep the adapters here")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        asked = json.loads(given.child)
        if "make" in asked:
            _make(Path(asked["make"]))
        else:
            print(json.dumps(_peft(asked) if "type" in asked else _ours(asked)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return _measure(given, given.scratch or Path(folder))


def _measure(given: argparse.Namespace, scratch: Path) -> int:
    for layers in (LAYERS, FEW, 1):
        for index in range(max(given.adapters)):
            folder = scratch / f"{layers}-{index}"
            if not folder.exists():
                subprocess.run([sys.executable, __file__, "--child", json.dumps({"make": str(folder)})], check=True)
    print(f"{'what':34}{'adapters':>9}{'CPU s':>10}{'memory':>10}{'error':>9}  limit")
    good = True
    for number in given.adapters:
        for name, recipe in _recipes(number):
            runs = [_child({"n": number, "recipe": recipe, "scratch": str(scratch)}) for _ in range(given.repeat)]
            best = min(runs, key=lambda run: run["cpu"])
            good = _row(name, number, best, limit=_limit(recipe)) and good
        if not given.no_dense:
            for strategy in ("ties", "dare"):
                recipe = {"strategy": strategy, "space": "delta", "density": 0.2}
                found = _child({"n": number, "recipe": recipe, "scratch": str(scratch), "layers": FEW})
                found["cpu"] *= LAYERS / FEW
                _row(f"{strategy} on ΔW, {FEW} layers × {LAYERS // FEW}", number, found)
        for kind in () if given.no_peft else ("linear", "cat", "ties", "svd"):
            if kind == "svd" and number != given.adapters[0]:
                continue  # the SVD is of the same matrix whatever the number
            found = _child({"n": number, "type": kind, "scratch": str(scratch)})
            _row(f"PEFT {kind}{', estimated' if kind == 'svd' else ''}", number, found)
    return 0 if good else 1


def _recipes(number: int) -> list[tuple[str, dict[str, Any]]]:
    weights = [1.0 + index for index in range(number)]
    found = [
        ("average", {"strategy": "average"}),
        ("weighted", {"strategy": "weighted", "weights": weights}),
        ("task-arithmetic", {"strategy": "task-arithmetic", "weights": weights, "scaling": 0.3}),
        ("cat", {"strategy": "cat", "weights": [1 / number] * number}),
        ("ties (core)", {"strategy": "ties"}),
        ("dare (core)", {"strategy": "dare"}),
    ]
    return [*found, ("slerp", {"strategy": "slerp"})] if number == 2 else found


def _limit(recipe: dict[str, Any]) -> tuple[float, float] | None:
    """CPU seconds and bytes."""
    if recipe["strategy"] in ("ties", "dare"):
        return CORE_SECONDS, float("inf")
    return None if recipe["strategy"] == "cat" else (LINEAR_SECONDS, LINEAR_BYTES)


def _row(name: str, number: int, found: dict[str, Any], *, limit: tuple[float, float] | None = None) -> bool:
    good = limit is None or (found["cpu"] <= limit[0] and found["bytes"] <= limit[1])
    said = ""
    if limit is not None:
        memory = "" if limit[1] == float("inf") else f", {limit[1] / 1e9:g} GB"
        said = f"{limit[0]:g} s{memory}: {'kept' if good else 'BROKEN'}"
    print(
        f"{name:34}{number:>9}{found['cpu']:>10,.2f}{found['bytes'] / 1e6:>7,.0f} MB{found['error']:>9.1%}  {said}",
        flush=True,
    )
    return good


def _child(asked: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", json.dumps(asked)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _used() -> dict[str, float]:
    """CPU seconds of this process since its start, and the most memory it had (VmHWM)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    high = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"cpu": used.ru_utime + used.ru_stime, "bytes": int(high.split()[1]) * 1024}


def _ours(asked: dict[str, Any]) -> dict[str, Any]:
    from lora_tui.adapters.merging.merge import merge
    from lora_tui.adapters.merging.sources import opened
    from lora_tui.jobs.merging import Recipe, Source

    recipe = asked["recipe"] | {"weights": tuple(asked["recipe"].get("weights", ()))}
    scratch, layers = Path(asked["scratch"]), asked.get("layers", LAYERS)
    sources = [Source(f"a{index}", str(scratch / f"{layers}-{index}"), f"a{index}") for index in range(asked["n"])]
    with tempfile.TemporaryDirectory(dir=scratch) as folder, opened(sources) as found:
        result = merge(found, Recipe(**recipe), Path(folder), lambda done, total: None)
    return {**_used(), "error": result.error}


def _make(folder: Path) -> None:
    """Write one adapter: A rows about 1/√n, B columns about 1/√m, some directions from a generator common to all."""
    import numpy as np

    from lora_tui.adapters import tensor_files

    layers, index = map(int, folder.name.split("-"))
    common, own = np.random.default_rng(7), np.random.default_rng(100 + index)
    modules = {f"model.layers.{layer}.{name}": shape for layer in range(layers) for name, shape in SHAPES.items()}
    tensors = {
        f"base_model.model.{name}.lora_{side}.weight": ("BF16", (R, n) if side == "A" else (m, R))
        for name, (m, n) in modules.items()
        for side in "AB"
    }
    folder.mkdir(parents=True)
    with tensor_files.writing(folder / "adapter_model.safetensors", tensors) as writer:
        for name, (m, n) in modules.items():
            a, b = (own.standard_normal(shape, dtype=np.float32) for shape in ((R, n), (m, R)))
            a[:COMMON] = common.standard_normal((COMMON, n), dtype=np.float32)
            b[:, :COMMON] = common.standard_normal((m, COMMON), dtype=np.float32)
            spectrum = own.permutation(np.arange(1, R + 1, dtype=np.float32) ** np.float32(-0.7))
            writer.write(f"base_model.model.{name}.lora_A.weight", a / np.float32(n**0.5))
            writer.write(f"base_model.model.{name}.lora_B.weight", b * spectrum / np.float32(m**0.5))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "Qwen/Qwen2.5-7B-Instruct",
        "r": R,
        "lora_alpha": 2 * R,
        "target_modules": sorted(name.split(".")[-1] for name in SHAPES),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))


def _peft(asked: dict[str, Any]) -> dict[str, Any]:
    """Load the adapters into a base of Linears without memory, merge, and compare two modules with the exact sum."""
    import warnings

    import torch
    from peft import PeftModel

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    kind, number = asked["type"], asked["n"]
    names = SVD if kind == "svd" else tuple(SHAPES)
    layers = 1 if kind == "svd" else LAYERS
    folders = [Path(asked["scratch"]) / f"{layers}-{index}" for index in range(number)]
    model = PeftModel.from_pretrained(_base(layers, names), folders[0], adapter_name="a0")
    for index in range(1, number):
        model.load_adapter(folders[index], adapter_name=f"a{index}")
    adapters = [f"a{index}" for index in range(number)]
    options = {"ties": {"density": 0.2}, "svd": {"svd_rank": R, "svd_full_matrices": False}}.get(kind, {})
    before = _used()["cpu"]
    model.add_weighted_adapter(adapters, [1 / number] * number, "merged", combination_type=kind, **options)
    used = _used()
    used["cpu"] -= before
    if kind == "svd":
        cost = {name: m * n * min(m, n) for name, (m, n) in SHAPES.items()}
        used["cpu"] *= LAYERS * sum(cost.values()) / sum(cost[name] for name in SVD)
    missed = whole = 0.0
    for name in SVD:
        module = model.get_submodule(f"base_model.model.model.layers.0.{name}")
        with torch.no_grad():
            exact = sum(_delta(module, adapter) for adapter in adapters) / number
            missed += float((_delta(module, "merged") - exact).square().sum())
            whole += float(exact.square().sum())
    return {**used, "error": (missed / whole) ** 0.5}


def _delta(module: Any, adapter: str) -> Any:
    return module.scaling[adapter] * module.lora_B[adapter].weight @ module.lora_A[adapter].weight


def _base(layers: int, names: tuple[str, ...]) -> Any:
    """Qwen2.5-7B's linear layers with weights of one number each, seen as whole matrices."""
    import torch
    from torch import nn

    def linear(m: int, n: int) -> nn.Linear:
        found = nn.Linear(1, 1, bias=False)
        found.in_features, found.out_features = n, m
        found.weight = nn.Parameter(torch.zeros(1, dtype=torch.bfloat16).expand(m, n), requires_grad=False)
        return found

    class Base(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = {"model_type": "qwen2", "tie_word_embeddings": False}
            self.model = nn.Module()
            self.model.layers = nn.ModuleList(nn.Module() for _ in range(layers))
            for layer in self.model.layers:
                for part in ("self_attn", "mlp"):
                    setattr(layer, part, nn.Module())
                for name in names:
                    part, last = name.split(".")
                    setattr(getattr(layer, part), last, linear(*SHAPES[name]))

        def forward(self, *given: Any, **named: Any) -> Any:
            raise NotImplementedError

        def prepare_inputs_for_generation(self, *given: Any, **named: Any) -> Any:
            raise NotImplementedError

    return Base()


if __name__ == "__main__":
    raise SystemExit(main())
