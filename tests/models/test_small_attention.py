"""Attention of small maps: the same numbers as the fused kernel, which larger maps keep."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from suti.models import small_attention
from suti.models.small_attention import SmallMapAttnProcessor


@pytest.mark.parametrize("shape", [(3, 64, 32), (3, 32, 8, 8)])
def test_same_as_the_fused_kernel(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    attention = Attention(32, heads=4, dim_head=8, norm_num_groups=4 if len(shape) == 4 else None, bias=True)
    x = torch.randn(shape, requires_grad=True)
    grads = []
    for processor in (AttnProcessor2_0(), SmallMapAttnProcessor()):
        attention.set_processor(processor)
        out = attention(x)
        grads.append((out, *torch.autograd.grad(out.square().sum(), [x, attention.to_q.weight])))
    for fused, plain in zip(*grads, strict=True):
        torch.testing.assert_close(plain, fused, rtol=1e-4, atol=1e-5)


def test_large_maps_keep_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = SmallMapAttnProcessor()
    monkeypatch.setattr(processor, "_plain", lambda *args, **kwargs: pytest.fail("plain products"))
    attention = Attention(8, heads=1, dim_head=8)
    attention.set_processor(processor)
    assert attention(torch.randn(1, small_attention.TOKENS + 1, 8)).shape == (1, small_attention.TOKENS + 1, 8)


def test_attention_over_other_tokens_is_that_of_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, n, 3, 8).transpose(1, 2).requires_grad_() for n in (20, 12, 12))
    found = []
    for most in (small_attention.TOKENS, 4):  # plain products, fused
        monkeypatch.setattr(small_attention, "TOKENS", most)
        out = small_attention.attend(q, k, v, 5)
        found.append((out, *torch.autograd.grad(out.square().sum(), [q, k, v])))
    assert found[0][0].shape == (2, 3, 20, 8)
    for plain, fused in zip(*found, strict=True):
        torch.testing.assert_close(plain, fused, rtol=1e-4, atol=1e-5)
