"""Compiled experts: the same result as the usual way, one graph for all groups of experts, nothing left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch._dynamo.utils import counters

from suti.compute import compiled, has_compiler, uncompiled
from suti.config.schema import Compute
from suti.models.base import BaseModel
from suti.models.small_attention import use_small_map_attention
from tests.experts.test_batched import TOLERANCE, together, tuning
from tests.tiny import tiny_base

COMPILED = Compute(device="cpu", precision="fp32", compile=True)


def graphs() -> int:
    return counters["stats"]["unique_graphs"]


def small_base() -> BaseModel:
    """A base of one level, convolutions and attention included: compiling takes seconds for each layer."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=12, out_channels=12, block_out_channels=(8,), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",), mid_block_type=None, up_block_types=("UpBlock2D",),
        cross_attention_dim=16, attention_head_dim=2, norm_num_groups=4,
    )  # fmt: skip
    use_small_map_attention(unet)
    return replace(tiny_base(), unet=unet).freeze()


@pytest.mark.skipif(not has_compiler(), reason="torch.compile needs a C++ compiler, and there is none")
@pytest.mark.filterwarnings("ignore")  # of the compiler's own
def test_groups_of_experts_share_one_graph_and_train_as_without_it():
    base, settings = small_base(), tuning(rows=1)
    groups = ([0, 1], [2, 3])
    usual = [together(base, numbers, settings) for numbers in groups]
    counters.clear()
    with compiled(base.unet, COMPILED):
        found = [together(base, groups[0], settings)]
        once = graphs()
        assert once > 0
        found.append(together(base, groups[1], settings))
        assert graphs() == once, "a second group of experts was compiled anew"
        with uncompiled(COMPILED, when=True):
            lone = together(base, [3], settings)
        assert graphs() == once, "the smaller last group was compiled"
    for (out, losses, weights), (wanted, wanted_losses, wanted_weights) in zip(found, usual, strict=True):
        assert losses == pytest.approx(wanted_losses, rel=1e-5)
        for number in (0, 1):
            assert (out[number] - wanted[number]).abs().max() < TOLERANCE * wanted[number].abs().max()
            for name, value in wanted_weights[number].items():
                torch.testing.assert_close(weights[number][name], value, rtol=1e-3, atol=1e-5)
    assert lone[1][0] == pytest.approx(usual[1][1][1], rel=1e-5)
    assert "_compiled_call_impl" not in vars(base.unet)


def test_without_a_compiler_the_setting_is_named(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with (
        pytest.raises(RuntimeError, match=r"compute.compile: true, .* install g\+\+"),
        compiled(torch.nn.Linear(1, 1), COMPILED),
    ):
        pass
