"""The text-to-image base of the embedded world: a small UNet in a VAE's latents and its text encoder, trained jointly.

As Imagen's and Stable Diffusion's bases in miniature: a T5-style text encoder, a UNet with cross-attention,
v-prediction under a cosine schedule, text dropped at times for classifier-free guidance.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, T5Config, T5EncoderModel

from suti.compute import in_layout
from suti.diffusion.losses import denoising_loss
from suti.io.atomic import atomic_path, write_json, write_text
from suti.io.provenance import provenance
from suti.models.base import BaseModel, load_base, text_length
from suti.models.codec import Codec
from suti.models.conditions import HIDDEN_STATES, Conditions
from suti.models.pipeline import save_base
from suti.seeds import generator, torch_generator
from suti.small_models.loop import LoopSettings, train
from suti.small_models.pool import Pool, Stream
from suti.small_models.store import Store, Tensors
from suti.small_models.streams import IMAGE_SIZE, base_stream
from suti.small_models.vae import from_bytes
from suti.small_models.vocabulary import build_tokenizer

CELLS: Final = 16
WIDTHS: Final = (48, 96, 96)
TEXT_DROP: Final = 0.1
SUBJECT_WEIGHT: Final = 3.0


def new_base(seed: int, vae: AutoencoderKL | None = None, image_size: int = IMAGE_SIZE) -> BaseModel:
    """The untrained base on 16 x 16 cells, attention at 8 x 8 and 4 x 4, 3.8M parameters in its UNet.

    Args:
        vae: whose latents the UNet works on; None: square patches of pixels.
        image_size: side of the pictures, pixels; with a VAE, 16 times its factor.
    """
    torch.manual_seed(torch_generator(seed, "base", "init").initial_seed() % 2**31)
    tokenizer = build_tokenizer()
    text_encoder = T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer), d_model=128, d_kv=32, d_ff=384, num_layers=2, num_heads=4, dropout_rate=0.0,
            feed_forward_proj="gated-gelu", pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip
    channels = 3 * (image_size // CELLS) ** 2 if vae is None else vae.config["latent_channels"]
    levels = len(WIDTHS) - 1
    unet = UNet2DConditionModel(
        sample_size=CELLS, in_channels=channels, out_channels=channels,
        block_out_channels=WIDTHS, layers_per_block=1, cross_attention_dim=128,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * levels),
        up_block_types=(*("CrossAttnUpBlock2D",) * levels, "UpBlock2D"),
        attention_head_dim=2, norm_num_groups=16,  # diffusers: attention_head_dim is the number of heads here
    )  # fmt: skip
    scheduler = DDPMScheduler(
        num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction",
        clip_sample=vae is None, timestep_spacing="trailing",
    )  # fmt: skip
    return BaseModel(unet, text_encoder, tokenizer, scheduler, vae)


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> Tensor:
    """Token ids, int64 ``(B, L)``, of the tokenizer's full length as ``suti.models.base.encode_text`` pads them."""
    length = text_length(tokenizer)
    return tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids


def cell_reader(tokenizer: PreTrainedTokenizerBase) -> Callable[[Pool, int], Tensors]:
    """What the store reads of a block: pictures, masks ``(n, 16, 16)`` and tokens ``(n, L)``."""

    def read(pool: Pool, block: int) -> Tensors:
        images, masks = pool.block(block)
        tokens = tokenize(tokenizer, pool.captions(block)).short()
        return {"images": torch.from_numpy(np.array(images)), "masks": torch.from_numpy(np.array(masks)),
                "tokens": tokens}  # fmt: skip

    return read


def cell_encoder(codec: Codec, image_size: int, bf16: bool) -> Callable[[Tensors], Tensors]:
    """What the store keeps of a block: cells, float16 ``(n, C, 16, 16)``, masks and tokens."""

    @torch.no_grad()
    def encode(tensors: Tensors) -> Tensors:
        images = from_bytes(tensors.pop("images"))
        if images.shape[-1] != image_size:  # a smaller render averages the pixels of a larger one
            images = F.avg_pool2d(images, images.shape[-1] // image_size)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            cells = codec.encode(images)
        return {"cells": cells.half(), **tensors}

    return encode


def base_loss(base: BaseModel, batch: Tensors) -> dict[str, Tensor]:
    """Denoising loss (Eq. 4) of a batch of cells, masks and tokens.

    It weighs subject cells 1 + 3 to 1 against the background, and the timestep is 1000 u**0.6, which favours high
    noise: shapes are decided there.
    """
    x_start = batch["cells"].float().contiguous(memory_format=torch.channels_last)
    noise = torch.randn_like(x_start)
    u = torch.rand(len(x_start), device=x_start.device)
    timesteps = (1000 * u**0.6).long().clamp(max=999)
    weight = 1 + SUBJECT_WEIGHT * batch["masks"][:, None].float() / 255
    ids = batch["tokens"].long()
    # The mask of padding as it is added to the attention's logits: transformers makes it of a mask of words by a copy
    # from the CPU, which a CUDA graph cannot hold.
    padding = ids.eq(base.tokenizer.pad_token_id)[:, None, None]
    mask = torch.zeros(padding.shape, device=ids.device).masked_fill(padding, -1e9)
    text = Conditions({HIDDEN_STATES: base.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state})
    loss = denoising_loss(lambda x, t: base.predict(x, t, text), base.schedule, x_start, noise, timesteps, weight)
    return {"loss": loss.mean()}


def train_base(
    settings: LoopSettings,
    folder: str | Path,
    checkpoint: Path | None = None,
    log: Path | None = None,
    *,
    pool: str | Path,
    vae: str | Path | None = None,
    initial: str | Path | None = None,
    batch_size: int = 48,
    blocks: int = 2000,
    fresh: float | None = None,
    stream: Stream | None = None,
) -> None:
    """Train UNet and text encoder on rendered pictures and write the base's folder (``load_base``).

    Args:
        settings: see ``suti.small_models.loop``; with ``seconds`` a step takes whatever pictures are rendered.
        pool: folder of the pictures; blocks: of the pool that are used.
        vae: folder of the autoencoder of a new base; None: patches of pixels.
        initial: folder of a base to go on from, its autoencoder included; None: new weights.
        fresh: new pictures a step; None: as many as the batch has.
        stream: pictures to draw from; None: ``base_stream``.
    """
    device = torch.device(settings.device)
    if initial is not None:
        base = load_base(str(Path(initial).resolve()), "initial")
    else:
        autoencoder = AutoencoderKL.from_pretrained(vae, torch_dtype=torch.float32) if vae is not None else None
        base = new_base(settings.seed, autoencoder)
    base.to(device).freeze()
    in_layout(base.unet, torch.channels_last).requires_grad_(True)
    base.text_encoder.requires_grad_(True)
    if device.type == "cpu":
        base.unet.set_attn_processor(AttnProcessor())  # torch's fused attention is the slower one on CPU, backwards
    if settings.compile:
        base.unet.compile(dynamic=False)
    model = nn.ModuleDict({"unet": base.unet, "text_encoder": base.text_encoder})
    encode = cell_encoder(base.codec, base.image_size, device.type == "cuda")
    added = None if settings.seconds is not None else fresh or float(batch_size)
    store = Store(
        Pool(pool, stream or base_stream(settings.seed)), blocks, cell_reader(base.tokenizer), device, encode, added
    )
    no_text = tokenize(base.tokenizer, [""]).short().to(device)

    def draw(step: int) -> Tensors:
        batch = store.draw("base", settings.seed, step, batch_size)
        dropped = generator(settings.seed, "base", "drop", step).random((batch_size, 1)) < TEXT_DROP
        batch["tokens"] = torch.where(torch.from_numpy(dropped).to(device), no_text, batch["tokens"])
        return batch

    spent = train(model, lambda batch: base_loss(base, batch), settings, checkpoint, log, draw)
    if settings.compile:
        del base.unet._compiled_call_impl  # the class's own is None; PyTorch has no other way back
    base.to("cpu").freeze()
    in_layout(base.unet, torch.contiguous_format)
    with atomic_path(folder) as part:
        save_base(base, part)
        rows = [json.loads(line) for line in Path(log).read_text().splitlines()] if log and Path(log).is_file() else []
        write_text(part / "loss.csv", _table(rows))
        made = {k: v for k, v in asdict(settings).items() if k not in ("checkpoint_every", "log_every")}
        made |= {"batch_size": batch_size, "initial": None if initial is None else str(initial)}
        record = provenance(
            made, spent.seconds, steps=spent.steps, images=spent.steps * batch_size, pictures_rendered=store.pictures,
            final_loss=rows[-1]["loss"] if rows else None,
        )  # fmt: skip
        write_json(part / "provenance.json", record)


def _table(rows: list[dict[str, Any]]) -> str:
    """CSV of the losses."""
    table = io.StringIO()
    writer = csv.DictWriter(table, ["step", "loss"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
