"""Causal attention of whole rows with rotary embeddings: torch's flash forward, and a backward pass of our own.

torch 2.13's backward pass on a CPU takes several times the forward's time in bf16. The one here is FlashAttention's
(Dao 2023, algorithm 2) as matrix products of all query heads that share a key, a block of queries and keys at a time,
whose scores a core's cache holds. It wins in bf16 on rows up to `_LONGEST` tokens; all else goes torch's way.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.models.llama.modeling_llama import LlamaAttention
from transformers.models.mistral.modeling_mistral import MistralAttention
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention
from transformers.models.qwen3.modeling_qwen3 import Qwen3Attention

from lora_tui.worker.fused.pieces import does_the_same, pieces

_KNOWN = (LlamaAttention, MistralAttention, Qwen2Attention, Qwen3Attention)
_QUERIES, _KEYS = 128, 256  # of a block
_LONGEST = 1024
_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def is_known(module: torch.nn.Module) -> bool:
    """Whether it is the attention of Llama, Mistral, Qwen2 or Qwen3 by any name."""
    return any(does_the_same(type(module), known) for known in _KNOWN)


def forward(
    self: Any,
    hidden_states: torch.Tensor,
    position_embeddings: tuple[torch.Tensor, torch.Tensor],
    attention_mask: torch.Tensor | None = None,
    past_key_values: Any = None,
    **named: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """As the layer's own, in few passes where whole rows are asked for: no mask, no cache, no dropout of scores."""
    more = attention_mask is not None or past_key_values is not None or named.get("output_attentions")
    dropped = self.training and self.attention_dropout
    sdpa = self.config._attn_implementation == "sdpa" and named.get("is_causal") is not False
    if more or dropped or not sdpa or position_embeddings[0].shape[-1] != self.head_dim:
        given = (hidden_states, position_embeddings, attention_mask)
        return type(self).forward(self, *given, past_key_values=past_key_values, **named)
    shape = (*hidden_states.shape[:-1], -1, self.head_dim)
    query, key = self.q_proj(hidden_states).view(shape), self.k_proj(hidden_states).view(shape)
    if hasattr(self, "q_norm"):
        query, key = self.q_norm(query), self.k_norm(key)
    value = self.v_proj(hidden_states).view(shape)
    seen = _Attention.apply(query, key, value, *position_embeddings, self.scaling)
    return self.o_proj(seen.flatten(2)), None


class _Attention(torch.autograd.Function):
    """query (rows, length, heads, width), key and value with fewer heads, cos and sin (rows or 1, length, width)."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        query, key = _turned(query, cos, sin), _turned(key, cos, sin)
        seen, lse = _flash(*(part.transpose(1, 2) for part in (query, key, value)), 0.0, True, scale=scale)
        ctx.save_for_backward(query, key, value, cos, sin, seen, lse)
        ctx.scale = scale
        return seen.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        query, key, value, cos, sin, seen, lse = ctx.saved_tensors
        if query.dtype != torch.bfloat16 or query.shape[1] > _LONGEST:
            turned = [part.transpose(1, 2) for part in (grads[0], query, key, value)]
            found = _flash_backward(*turned, seen, lse, 0.0, True, scale=ctx.scale)
            to_query, to_key, to_value = (part.transpose(1, 2) for part in found)
        else:
            to_query, to_key, to_value = (torch.empty_like(part) for part in (query, key, value))
            for row in range(len(query)):
                made = (to_query[row], to_key[row], to_value[row])
                given = (query[row], key[row], value[row], seen[row].transpose(0, 1), lse[row], grads[0][row])
                _row_backward(*given, ctx.scale, made)
        return _turned_back(to_query, cos, sin), _turned_back(to_key, cos, sin), to_value, None, None, None


def _row_backward(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    seen: torch.Tensor,
    lse: torch.Tensor,
    grad: torch.Tensor,
    scale: float,
    made: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    """The gradients of a row's query, key and value into `made`: bf16 (length, heads, width); lse (heads, length)."""
    length, heads, width = query.shape
    group = heads // key.shape[1]
    lse = lse.t()
    for head in range(key.shape[1]):
        own = slice(head * group, (head + 1) * group)
        keys, values = key[:, head].contiguous(), value[:, head].contiguous()
        to_keys, to_values = torch.zeros(length, width), torch.zeros(length, width)
        for begin in range(0, length, _QUERIES):
            end = min(length, begin + _QUERIES)
            asked, given = (part[begin:end, own].reshape(-1, width) for part in (query, grad))
            shift = lse[begin:end, own].reshape(-1, 1)
            mean = given.float().mul_(seen[begin:end, own].reshape(-1, width)).sum(-1, keepdim=True)
            to_asked = torch.zeros(len(asked), width)
            for first in range(0, end, _KEYS):
                part = slice(first, min(end, first + _KEYS))
                scores = asked @ keys[part].t()
                chance = scores.float().mul_(scale).sub_(shift).exp_()
                if part.stop > begin:
                    _forget_later(chance.view(end - begin, group, -1)[:, :, max(0, begin - first) :], begin, first)
                scores.copy_(chance)
                to_values[part] += scores.t() @ given
                slope = given @ values[part].t()
                slope.copy_(slope.float().sub_(mean).mul_(chance))
                to_asked += slope @ keys[part]
                to_keys[part] += slope.t() @ asked
            made[0][begin:end, own] = to_asked.mul_(scale).view(end - begin, group, width)
        made[1][:, head] = to_keys.mul_(scale)
        made[2][:, head] = to_values


def _forget_later(chance: torch.Tensor, begin: int, first: int) -> None:
    """Keys after their query count for nothing: (queries from `begin`, heads, keys from the later of both)."""
    later = torch.ones(chance.shape[0], chance.shape[2], dtype=torch.bool)
    chance.masked_fill_(later.triu_(1 + min(0, begin - first))[:, None], 0.0)


def _turned(given: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary embedding (Su et al. 2021) as Llama has it: x · cos + (-x2, x1) · sin of the two halves of a head."""
    made = torch.empty(given.shape, dtype=given.dtype)
    half = given.shape[-1] // 2
    cos, sin = cos.float()[:, :, None], sin.float()[:, :, None]
    for part in pieces(given.shape[1], given.shape[0] * given.shape[2] * given.shape[3]):
        wide = given[:, part].float()
        turned = wide * cos[:, part]
        turned[..., :half].addcmul_(wide[..., half:], sin[:, part, :, :half], value=-1)
        turned[..., half:].addcmul_(wide[..., :half], sin[:, part, :, half:])
        made[:, part] = turned
    return made


def _turned_back(grad: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """The gradient of what `_turned` was given."""
    made = torch.empty(grad.shape, dtype=grad.dtype)
    half = grad.shape[-1] // 2
    cos, sin = cos.float()[:, :, None], sin.float()[:, :, None]
    for part in pieces(grad.shape[1], grad.shape[0] * grad.shape[2] * grad.shape[3]):
        wide = grad[:, part].float()
        turned = wide * cos[:, part]
        turned[..., :half].addcmul_(wide[..., half:], sin[:, part, :, half:])
        turned[..., half:].addcmul_(wide[..., :half], sin[:, part, :, :half], value=-1)
        made[:, part] = turned
    return made
