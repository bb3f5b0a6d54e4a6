"""Untrained miniature bases of each family, for tests: same classes as the real ones, a few thousand weights."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from suti.models.base import BaseModel
from suti.models.small_attention import use_small_map_attention
from suti.small_models.vocabulary import build_tokenizer

HEADS = {"attention_head_dim": 2, "norm_num_groups": 4}


def _text_encoder(family: str, words: int, pad: int) -> torch.nn.Module:
    if family == "clip":
        return CLIPTextModel(
            CLIPTextConfig(vocab_size=words, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                           num_attention_heads=2, max_position_embeddings=77)
        )  # fmt: skip
    return T5EncoderModel(
        T5Config(
            vocab_size=words, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=pad, dropout_rate=0
        )
    )


def tiny_base(kind: str = "pixel", seed: int = 0) -> BaseModel:
    """kind: 'pixel' (patchified, as the embedded base), 'latent' (as Stable Diffusion), 'if' (as DeepFloyd IF)."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    words, pad = len(tokenizer), tokenizer.pad_token_id
    common = {"block_out_channels": (8, 16), "layers_per_block": 1, "cross_attention_dim": 16}
    vae = None
    if kind == "if":
        unet = UNet2DConditionModel(
            sample_size=8, in_channels=3, out_channels=6, **{**common, "block_out_channels": (16, 32)},
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn", attention_head_dim=8, norm_num_groups=4,
            encoder_hid_dim=16, encoder_hid_dim_type="text_proj", addition_embed_type="text",
            addition_embed_type_num_heads=2, resnet_time_scale_shift="scale_shift",
            only_cross_attention=True, act_fn="gelu",
        )  # fmt: skip
        text_encoder, scheduler = _text_encoder("t5", words, pad), DDPMScheduler(variance_type="learned_range")
    elif kind == "latent":
        unet = UNet2DConditionModel(
            sample_size=8, in_channels=4, out_channels=4, **common, **HEADS,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=(4, 8), latent_channels=4, norm_num_groups=2, layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip
        text_encoder, scheduler = _text_encoder("clip", words, pad), DDPMScheduler(beta_schedule="scaled_linear")
    else:
        unet = UNet2DConditionModel(
            sample_size=8, in_channels=12, out_channels=12, **common, **HEADS,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip
        text_encoder = _text_encoder("t5", words, pad)
        scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    use_small_map_attention(unet)  # as load_base does
    return BaseModel(unet, text_encoder, tokenizer, scheduler, vae).freeze()
