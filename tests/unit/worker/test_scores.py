"""What a model says at the labels, measured a few labels at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from lora_tui.worker.forgetting import scores
from lora_tui.worker.forgetting.keeping import _no_longer
from lora_tui.worker.forgetting.scores import Ends
from lora_tui.worker.tokenize import Tokens

pytestmark = pytest.mark.engine


def _ends(labels: int, vocabulary: int, *, plain: bool, seed: int) -> Ends:
    torch.manual_seed(seed)
    head = torch.nn.Linear(16, vocabulary, bias=False).requires_grad_(False)
    states = torch.randn(labels, 16, requires_grad=True)
    aims = torch.randint(0, vocabulary, (labels,))
    return (
        Ends(states, aims, head) if plain else Ends(head(states).detach().requires_grad_(), aims, lambda logits: logits)
    )


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("piece", [1, 160, 1 << 20])
def test_in_pieces_the_values_and_gradients_are_those_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, plain: bool, piece: int
) -> None:
    monkeypatch.setattr(scores, "_PIECE_BYTES", piece)
    then, now = _ends(7, 20, plain=plain, seed=0), _ends(7, 20, plain=plain, seed=1)
    now = now._replace(labels=then.labels)
    before, after = then.scores().detach(), now.scores()
    for ours, whole in (
        (scores.divergence(then, now), (before.exp() * (before - after)).sum()),
        (scores.cross_entropy(now), functional.nll_loss(after, now.labels, reduction="sum")),
    ):
        torch.testing.assert_close(ours, whole)
        (mine,) = torch.autograd.grad(ours, now.states)
        (theirs,) = torch.autograd.grad(whole, now.states, retain_graph=True)
        torch.testing.assert_close(mine, theirs)


def test_kl_over_a_large_vocabulary_holds_a_piece_of_it_and_not_all() -> None:
    then, now = (_ends(400, 50_000, plain=True, seed=seed) for seed in (0, 1))
    most = _largest_tensor(lambda: scores.divergence(then, now).backward())
    assert most <= 2 * scores._PIECE_BYTES < 400 * 50_000 * 4


def _largest_tensor(run: Any) -> int:
    """Bytes of the largest tensor that comes out of any operation, forwards or backwards."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Seen(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = call(*args, **(kwargs or {}))
            for item in found if isinstance(found, tuple | list) else [found]:
                if isinstance(item, torch.Tensor):
                    Seen.largest = max(Seen.largest, item.numel() * item.element_size())
            return found

    with Seen():
        run()
    return Seen.largest


def test_kl_reads_no_text_that_is_longer_than_what_is_trained_on_while_there_are_others() -> None:
    texts = [Tokens(id=str(n), input_ids=[1] * n, labels=[1] * n) for n in (9, 3, 5, 7)]
    assert [text.id for text in _no_longer(texts, longest=6, size=2)] == ["3", "5"]
    assert [text.id for text in _no_longer(texts, longest=2, size=2)] == ["3", "5"]
    assert len(_no_longer(texts, longest=99, size=2)) == 4
