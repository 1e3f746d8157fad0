"""Merges as the papers write them, on whole ΔW matrices in float64, read with the real safetensors library.

Nothing of the product is used: what it does in factors, cores and blocks is compared with this.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

PREFIX = "base_model.model."
Deltas = dict[str, torch.Tensor]


def deltas(folder: Path) -> Deltas:
    """ΔW of every module of an adapter folder, by PEFT's rules for the scale."""
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    found = {}
    for key, a in tensors.items():
        if ".lora_A." in key:
            name = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
            b = tensors[key.replace(".lora_A.", ".lora_B.")]
            r, alpha = a.shape[0], config["lora_alpha"]
            for pattern, value in (config.get("alpha_pattern") or {}).items():
                if re.match(rf"(.*\.)?({pattern})$", name):
                    alpha = value
            scale = alpha / math.sqrt(r) if config.get("use_rslora") else alpha / r
            found[name] = scale * b.double() @ a.double()
    return found


def linear(adapters: Sequence[Deltas], weights: Sequence[float]) -> Deltas:
    """Σ wᵢΔWᵢ; an adapter without a module counts as zeros."""
    found: Deltas = {}
    for adapter, weight in zip(adapters, weights, strict=True):
        for name, matrix in adapter.items():
            found[name] = found.get(name, torch.zeros_like(matrix)) + weight * matrix
    return found


def slerp(one: Deltas, two: Deltas, t: float) -> Deltas:
    """On the great circle through each module's two ΔW."""
    found = {}
    for name in one.keys() | two.keys():
        if name not in one or name not in two:
            found[name] = (1 - t) * one[name] if name in one else t * two[name]
            continue
        cosine = (one[name] * two[name]).sum() / (one[name].norm() * two[name].norm())
        angle = torch.acos(cosine.clamp(-1, 1))
        first, second = torch.sin((1 - t) * angle), torch.sin(t * angle)
        found[name] = (first * one[name] + second * two[name]) / torch.sin(angle)
    return found


def ties_matrix(matrices: Sequence[torch.Tensor], weights: Sequence[float], density: float) -> torch.Tensor:
    """Trim, elect, disjoint mean, on matrices of one shape."""
    trimmed = []
    for matrix in matrices:
        kept = max(1, int(density * matrix.numel()))
        order = matrix.abs().flatten().argsort(descending=True)
        flat = torch.zeros(matrix.numel(), dtype=matrix.dtype)
        flat[order[:kept]] = matrix.flatten()[order[:kept]]
        trimmed.append(flat.reshape(matrix.shape))
    weighted = torch.stack([weight * matrix for weight, matrix in zip(weights, trimmed, strict=True)])
    share = torch.tensor([abs(weight) for weight in weights], dtype=torch.float64)[:, None, None]
    sign = torch.where(weighted.sum(0) >= 0, 1.0, -1.0)
    agrees = (weighted * sign > 0).double()
    return (weighted * agrees).sum(0) / (share * agrees).sum(0).clamp(min=1e-12)


def ties(adapters: Sequence[Deltas], weights: Sequence[float], density: float, scaling: float = 1.0) -> Deltas:
    """TIES on ΔW, module by module, of those that have it."""
    found = {}
    for name in {name for adapter in adapters for name in adapter}:
        here = [(adapter[name], weight) for adapter, weight in zip(adapters, weights, strict=True) if name in adapter]
        found[name] = scaling * ties_matrix([one[0] for one in here], [one[1] for one in here], density)
    return found


def mask(seed: int, module: str, identity: str, shape: torch.Size, density: float) -> torch.Tensor:
    """Which entries DARE keeps: 32-bit numbers from a seed of the adapter and the module, two of a word, row by row."""
    digest = hashlib.sha256(f"{seed}|{module}|{identity}".encode()).digest()
    bits = np.random.PCG64(int.from_bytes(digest[:8], "big") >> 1)
    rows = []
    for _ in range(shape[0]):
        words = [int(bits.random_raw()) for _ in range(math.ceil(shape[1] / 2))]
        numbers = [part for word in words for part in (word & 0xFFFFFFFF, word >> 32)]
        rows.append([number < density * 2**32 for number in numbers[: shape[1]]])
    return torch.tensor(rows, dtype=torch.float64)


def dare(
    adapters: Sequence[Deltas], weights: Sequence[float], density: float, seed: int, identities: Sequence[str]
) -> Deltas:
    """Σ wᵢ · mask ∘ ΔWᵢ / density."""
    dropped = [
        {name: mask(seed, name, identity, matrix.shape, density) * matrix / density for name, matrix in adapter.items()}
        for adapter, identity in zip(adapters, identities, strict=True)
    ]
    return linear(dropped, weights)


def bases(folders: Sequence[Path], module: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Left singular vectors of the stacked B's (m × p) and of the stacked A's, transposed (n × q)."""
    stacks: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for folder in folders:
        tensors = load_file(folder / "adapter_model.safetensors")
        for stack, side in zip(stacks, "BA", strict=True):
            if (tensor := tensors.get(f"{PREFIX}{module}.lora_{side}.weight")) is not None:
                stack.append(tensor.double())
    return _left(torch.cat(stacks[0], 1)), _left(torch.cat(stacks[1], 0).T)


def _left(matrix: torch.Tensor) -> torch.Tensor:
    u, singular, _ = torch.linalg.svd(matrix, full_matrices=False)
    return u[:, singular > 1e-9 * singular[0]]


def ties_core(folders: Sequence[Path], adapters: Sequence[Deltas], weights: Sequence[float], density: float) -> Deltas:
    """TIES on Q_bᵀ·ΔW·Q_a."""
    found = {}
    for name in {name for adapter in adapters for name in adapter}:
        q_b, q_a = bases(folders, name)
        here = [(adapter[name], weight) for adapter, weight in zip(adapters, weights, strict=True) if name in adapter]
        cores = [q_b.T @ matrix @ q_a for matrix, _ in here]
        found[name] = q_b @ ties_matrix(cores, [weight for _, weight in here], density) @ q_a.T
    return found


def truncated(matrices: Deltas, rank: int) -> Deltas:
    """The best approximation of that rank."""
    found = {}
    for name, matrix in matrices.items():
        u, singular, v = torch.linalg.svd(matrix, full_matrices=False)
        found[name] = u[:, :rank] * singular[:rank] @ v[:rank]
    return found


def distance(one: Deltas, other: Deltas) -> float:
    """‖one − other‖ / ‖other‖ over all modules; a module that one lacks counts as zeros."""
    missed = sum(
        float((one.get(name, 0) - other.get(name, torch.zeros(()))).square().sum()) for name in one.keys() | other
    )
    return math.sqrt(missed / sum(float(matrix.square().sum()) for matrix in other.values()))
