"""The backbone of UNets: any diffusers folder or hub id with a ``UNet2DConditionModel``, in pixel or latent space.

The embedded tiny base, Stable Diffusion and DeepFloyd IF load by the same code: ``model_index.json`` says which
classes the components have, and a VAE's presence says whether the space is latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import torch
from diffusers import AutoencoderKL, DDPMScheduler, DiffusionPipeline, ModelMixin, UNet2DConditionModel
from transformers import AutoTokenizer, CLIPTextModel, PreTrainedModel, PreTrainedTokenizerBase, T5EncoderModel

from suti.compute import to_device
from suti.diffusion.schedules import Diffusion
from suti.io.model_specs import check_model_spec
from suti.models.backbone import References
from suti.models.codec import Codec, LatentCodec, PixelCodec, pixel_patch
from suti.models.conditions import HIDDEN_STATES, Conditions
from suti.models.small_attention import use_small_map_attention

TEXT_ENCODERS: dict[str, type[PreTrainedModel]] = {"CLIPTextModel": CLIPTextModel, "T5EncoderModel": T5EncoderModel}


@dataclass
class BaseModel:
    """A UNet base, a ``suti.models.backbone.Backbone``: DDPM, one text encoder, pixels or a VAE's latents.

    Its ``unet`` may be an apprentice, which reads demonstrations too.
    """

    unet: UNet2DConditionModel
    text_encoder: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    scheduler: DDPMScheduler
    vae: AutoencoderKL | None = None

    @property
    def network(self) -> UNet2DConditionModel:
        """The UNet."""
        return self.unet

    @property
    def schedule(self) -> Diffusion:
        """The scheduler's noise."""
        return Diffusion(self.scheduler)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a UNet input."""
        side = int(self.unet.config["sample_size"])
        return int(self.unet.config["in_channels"]), side, side

    @property
    def codec(self) -> Codec:
        """Map between pictures and the UNet's inputs."""
        if self.vae is not None:
            return LatentCodec(self.vae)
        return PixelCodec(pixel_patch(self.unet.config["in_channels"]))

    @property
    def image_size(self) -> int:
        """Side of the pictures, pixels."""
        return int(self.unet.config["sample_size"]) * self.codec.factor

    @property
    def device(self) -> torch.device:
        """Where the UNet lives."""
        return self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the UNet's weights."""
        return self.unet.dtype

    def with_network(self, network: ModelMixin) -> Self:
        """The same base with another UNet: an apprentice."""
        return replace(self, unet=cast(UNet2DConditionModel, network))

    def to(self, device: torch.device | str) -> BaseModel:
        """Move all networks."""
        for module in (self.unet, self.text_encoder, self.vae):
            if module is not None:
                to_device(module, device)
        return self

    def freeze(self) -> BaseModel:
        """No gradients anywhere, evaluation mode."""
        for module in (self.unet, self.text_encoder, self.vae):
            if module is not None:
                module.requires_grad_(False).eval()
        return self

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Conditions:
        """The texts' hidden states, padded to the tokenizer's length; '' is the dropped text."""
        return self.encode_with_gradients(texts)

    def encode_with_gradients(self, texts: Sequence[str]) -> Conditions:
        """As ``encode``, for what trains the text encoder or the embeddings of its words."""
        return Conditions({HIDDEN_STATES: encode_text(self.text_encoder, self.tokenizer, list(texts))})

    def predict(
        self, x: torch.Tensor, t: torch.Tensor, conditions: Conditions, references: References | None = None
    ) -> torch.Tensor:
        """The UNet's prediction ``(B, C, h, w)``; a variance that it learned beside it (DeepFloyd IF) is dropped.

        Args:
            x: ``(B, C, h, w)``; t: ``(B,)`` timesteps; conditions: ``(B, L, D)`` hidden states.
            references: an apprentice's demonstrations.
        """
        extra = {"cross_attention_kwargs": {"demonstrations": references}} if references else {}
        return self.unet(x, t, conditions.hidden_states, return_dict=False, **extra)[0][:, : x.shape[1]]

    def encode_references(self, x_start: torch.Tensor, conditions: Conditions, k: int) -> References:
        """Keys and values of an apprentice's new layers (``ApprenticeUNet.encode_demonstrations``).

        Raises:
            ValueError: the UNet is no apprentice.
        """
        # Asked of the network and not of its class: an edit of the apprentice's makes no expert anew.
        encode = getattr(self.unet, "encode_demonstrations", None)
        if encode is None:
            raise ValueError("demonstrations: the model is a plain base, which takes none; load an apprentice")
        return encode(x_start, conditions.hidden_states, k)


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


def pipeline_index(spec: str) -> dict[str, Any]:
    """``model_index.json`` of a diffusers folder or hub id."""
    return dict(cast(dict[str, Any], DiffusionPipeline.load_config(spec)))  # a pair only where asked for the rest too


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
    index = pipeline_index(spec)
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
