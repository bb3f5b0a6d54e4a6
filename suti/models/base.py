"""Text-to-image bases: any diffusers folder or hub id with a ``UNet2DConditionModel``, in pixel or latent space.

The embedded tiny base, Stable Diffusion and DeepFloyd IF load by the same code: ``model_index.json`` says which
classes the components have, and a VAE's presence says whether the space is latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, DiffusionPipeline, UNet2DConditionModel
from transformers import AutoTokenizer, CLIPTextModel, PreTrainedModel, PreTrainedTokenizerBase, T5EncoderModel

from suti.io.model_specs import check_model_spec
from suti.models.codec import Codec, LatentCodec, PixelCodec, pixel_patch
from suti.models.small_attention import use_small_map_attention

TEXT_ENCODERS: dict[str, type[PreTrainedModel]] = {"CLIPTextModel": CLIPTextModel, "T5EncoderModel": T5EncoderModel}


@dataclass
class BaseModel:
    """A text-to-image base and what is needed to train and sample it."""

    unet: UNet2DConditionModel
    text_encoder: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    scheduler: DDPMScheduler
    vae: AutoencoderKL | None = None

    @property
    def codec(self) -> Codec:
        """Map between pictures and the UNet's inputs."""
        return LatentCodec(self.vae) if self.vae is not None else PixelCodec(pixel_patch(self.unet.config.in_channels))

    @property
    def image_size(self) -> int:
        """Side of the pictures, pixels."""
        return int(self.unet.config.sample_size) * self.codec.factor

    @property
    def device(self) -> torch.device:
        """Where the UNet lives."""
        return self.unet.device

    def to(self, device: torch.device | str) -> BaseModel:
        """Move all networks."""
        for module in (self.unet, self.text_encoder, self.vae):
            if module is not None:
                module.to(device)
        return self

    def freeze(self) -> BaseModel:
        """No gradients anywhere, evaluation mode."""
        for module in (self.unet, self.text_encoder, self.vae):
            if module is not None:
                module.requires_grad_(False).eval()
        return self

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> torch.Tensor:
        """Hidden states ``(B, L, D)`` of the text encoder, padded to the tokenizer's length; '' is the dropped text."""
        return encode_text(self.text_encoder, self.tokenizer, texts)


def encode_text(text_encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> torch.Tensor:
    """Hidden states ``(B, L, D)``. Every row has the tokenizer's full length: none depends on its neighbours."""
    tokens = tokenizer(
        texts, padding="max_length", max_length=text_length(tokenizer), truncation=True, return_tensors="pt"
    ).to(text_encoder.device)
    # CLIP text encoders of Stable Diffusion were trained without a padding mask, T5 ones with it.
    mask = tokens.attention_mask if isinstance(text_encoder, T5EncoderModel) else None
    return text_encoder(input_ids=tokens.input_ids, attention_mask=mask).last_hidden_state


def text_length(tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of a text; at most 77, as Stable Diffusion and DeepFloyd IF use."""
    return min(int(tokenizer.model_max_length), 77)


def load_base(spec: str, field: str = "models.base") -> BaseModel:
    """Load a base from a diffusers folder or hub id.

    Args:
        spec: folder with ``model_index.json`` (or hub id); components unet, text_encoder, tokenizer, scheduler, and
            vae for latent bases.
        field: name of the setting, for the error message.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: the UNet is not a ``UNet2DConditionModel``, or the text encoder is of an unknown class.
    """
    check_model_spec(spec, field)
    index: dict[str, Any] = DiffusionPipeline.load_config(spec)
    unet_class = index.get("unet", [None, None])[1]
    if unet_class not in ("UNet2DConditionModel", "ApprenticeUNet"):
        raise ValueError(f"{field}: {spec} has unet {unet_class!r}, expected UNet2DConditionModel")
    text_class = index.get("text_encoder", [None, None])[1]
    if text_class not in TEXT_ENCODERS:
        raise ValueError(f"{field}: {spec} has text encoder {text_class!r}, expected one of {', '.join(TEXT_ENCODERS)}")
    vae = None
    if index.get("vae", [None, None])[1] is not None:
        vae = AutoencoderKL.from_pretrained(spec, subfolder="vae", use_safetensors=True)
    scheduler = DDPMScheduler.from_pretrained(spec, subfolder="scheduler")
    base = BaseModel(
        unet=UNet2DConditionModel.from_pretrained(
            spec, subfolder="unet", use_safetensors=True, torch_dtype=torch.float32
        ),
        text_encoder=TEXT_ENCODERS[text_class].from_pretrained(spec, subfolder="text_encoder", dtype=torch.float32),
        tokenizer=AutoTokenizer.from_pretrained(spec, subfolder="tokenizer"),
        scheduler=scheduler,
        vae=vae,
    )
    use_small_map_attention(base.unet)
    return base.freeze()
