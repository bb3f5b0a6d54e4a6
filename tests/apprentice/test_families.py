"""Apprentices of the shapes of Stable Diffusion 1.5 and DeepFloyd IF stage I: their own block types, random weights.

Full widths exist on the meta device (shapes without memory), narrow ones compute.
"""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel

from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.small_attention import use_small_map_attention

# Stable Diffusion 1.5's UNet, and one of the size of DeepFloyd IF-I-M.
SD15 = {
    "sample_size": 64, "in_channels": 4, "out_channels": 4, "cross_attention_dim": 768, "attention_head_dim": 8,
    "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}  # fmt: skip
IF_M = {
    "sample_size": 64, "in_channels": 3, "out_channels": 6, "cross_attention_dim": 768, "attention_head_dim": 64,
    "block_out_channels": (192, 384, 576, 768), "layers_per_block": 3, "act_fn": "gelu", "encoder_hid_dim": 4096,
    "encoder_hid_dim_type": "text_proj", "addition_embed_type": "text", "addition_embed_type_num_heads": 64,
    "only_cross_attention": True, "resnet_time_scale_shift": "scale_shift",
    "down_block_types": ("ResnetDownsampleBlock2D",) + ("SimpleCrossAttnDownBlock2D",) * 3,
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D",) * 3 + ("ResnetUpsampleBlock2D",),
}  # fmt: skip
# The same, narrow and on small maps. Heads: their number for Stable Diffusion, their width for IF.
SMALL = {
    "sd15": SD15 | {"sample_size": 16, "block_out_channels": (8, 16, 32, 32), "attention_head_dim": 2,
                    "cross_attention_dim": 16, "norm_num_groups": 4},
    "if": IF_M | {"sample_size": 16, "block_out_channels": (16, 32, 48, 64), "attention_head_dim": 8,
                  "cross_attention_dim": 24, "encoder_hid_dim": 16, "addition_embed_type_num_heads": 2,
                  "norm_num_groups": 4},
}  # fmt: skip
FAMILIES = list(SMALL)


def base(family: str) -> UNet2DConditionModel:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**SMALL[family]).eval()
    use_small_map_attention(unet)
    return unet


def apprentice(family: str, initialization: str = "random") -> ApprenticeUNet:
    unet = base(family)
    torch.manual_seed(1)
    return ApprenticeUNet.from_base(unet, initialization).eval()


def inputs(family: str):
    """Two subjects of two targets and three demonstrations."""
    config, generator = SMALL[family], torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    width = config.get("encoder_hid_dim", config["cross_attention_dim"])
    x = draw(4, config["in_channels"], 16, 16)
    return (
        x,
        torch.tensor([0, 10, 500, 999]),
        draw(4, 7, width),
        draw(6, config["in_channels"], 16, 16),
        draw(6, 7, width),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_forward_and_a_gradient_for_every_new_parameter(family):
    unet = apprentice(family).requires_grad_(True)
    x, timesteps, text, shown, texts = inputs(family)
    seen = {"demonstrations": unet.encode_demonstrations(shown, texts, 3)}
    out = unet(x, timesteps, text, cross_attention_kwargs=seen).sample
    assert out.shape == (4, SMALL[family]["out_channels"], 16, 16)
    (out[:, : x.shape[1]] - x).square().mean().backward()
    without = [n for n, p in unet.named_parameters() if p.grad is None]
    assert without == []
    still = [n for n, p in unet.named_parameters() if ".processor.layer." in n and not p.grad.abs().max() > 0]
    assert still == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("initialization", ["zero", "self_attention"])
def test_zero_start_equals_the_base(family, initialization, one_thread):
    plain, unet = base(family), apprentice(family, initialization)
    x, timesteps, text, shown, texts = inputs(family)
    with torch.no_grad():
        seen = {"demonstrations": unet.encode_demonstrations(shown, texts, 3)}
        want = plain(x, timesteps, text).sample
        assert torch.equal(unet(x, timesteps, text, cross_attention_kwargs=seen).sample, want)
        assert torch.equal(unet(x, timesteps, text).sample, want)


@pytest.mark.parametrize("family", FAMILIES)
def test_order_of_demonstrations_does_not_matter_and_they_do(family):
    unet = apprentice(family)
    x, timesteps, text, shown, texts = inputs(family)
    order = [2, 0, 1, 5, 3, 4]
    with torch.no_grad():
        both = unet.encode_demonstrations(shown, texts, 3)
        swapped = unet.encode_demonstrations(shown[order], texts[order], 3)
        others = unet.encode_demonstrations(shown.flip(0), texts.flip(0), 3)
        conditions = [{"demonstrations": d} for d in (both, swapped, others)]
        drawn = [unet(x, timesteps, text, cross_attention_kwargs=c).sample for c in conditions]
    torch.testing.assert_close(drawn[1], drawn[0], atol=1e-5, rtol=1e-4)
    assert (drawn[2] - drawn[0]).abs().flatten(1).max(1).values.min() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_loaded_it_computes_the_same(family, tmp_path, one_thread):
    unet = apprentice(family)
    unet.save_pretrained(tmp_path, safe_serialization=True)
    again = ApprenticeUNet.from_pretrained(tmp_path).eval()
    x, timesteps, text, shown, texts = inputs(family)
    with torch.no_grad():
        drawn = [
            u(x, timesteps, text, cross_attention_kwargs={"demonstrations": u.encode_demonstrations(shown, texts, 3)})
            for u in (unet, again)
        ]
    assert torch.equal(drawn[0].sample, drawn[1].sample)


@pytest.mark.parametrize(
    ("config", "parameters", "share"), [(SD15, 859_520_964, 0.058), (IF_M, 355_399_878, 0.091)], ids=FAMILIES
)
def test_full_size_and_share_of_new_parameters(config, parameters, share):
    """The paper adds 19 % (2.1 to 2.5 billion)."""
    with torch.device("meta"):
        unet = ApprenticeUNet(**config)
    assert sum(p.numel() for p in unet.base_parameters()) == parameters
    assert sum(p.numel() for p in unet.new_parameters()) / parameters == pytest.approx(share, abs=5e-4)
