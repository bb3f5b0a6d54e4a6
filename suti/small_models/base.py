"""The text-to-image base of the embedded world: a small pixel-space UNet and its text encoder, trained jointly.

As Imagen's 64 px base in miniature: a T5-style text encoder, a UNet with cross-attention, v-prediction under a
cosine schedule, text dropped at times for classifier-free guidance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.training_utils import EMAModel
from torch.utils.data import DataLoader, IterableDataset
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase, T5Config, T5EncoderModel

from suti.diffusion.losses import denoising_loss
from suti.models.base import BaseModel
from suti.models.codec import PixelCodec
from suti.optim.muon import Muon
from suti.seeds import generator, torch_generator
from suti.small_models.vocabulary import build_tokenizer
from suti.world.corpus import corpus_batch

IMAGE_SIZE = 32
PATCH = 2
TEXT_DROP = 0.1
SUBJECT_WEIGHT = 3.0


def new_base(seed: int) -> BaseModel:
    """The untrained base: 32 px in 2 x 2 patches, attention at 8 x 8, 2.3M parameters."""
    torch.manual_seed(torch_generator(seed, "base", "init").initial_seed() % 2**31)
    tokenizer = build_tokenizer()
    text_encoder = T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer), d_model=128, d_kv=32, d_ff=384, num_layers=2, num_heads=4, dropout_rate=0.0,
            feed_forward_proj="gated-gelu", pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=IMAGE_SIZE // PATCH, in_channels=3 * PATCH**2, out_channels=3 * PATCH**2,
        block_out_channels=(48, 96), layers_per_block=1, cross_attention_dim=128,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2, norm_num_groups=16,  # diffusers: attention_head_dim is the number of heads here
    )  # fmt: skip
    scheduler = DDPMScheduler(
        num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction",
        clip_sample=True, timestep_spacing="trailing",
    )  # fmt: skip
    return BaseModel(unet, text_encoder, tokenizer, scheduler)


class Corpus(IterableDataset[dict[str, Any]]):
    """Endless world renders, keyed by (seed, step): a resumed run sees the batches it would have seen."""

    def __init__(self, seed: int, first: int, last: int, batch_size: int, tokenizer: PreTrainedTokenizerBase) -> None:
        self.seed, self.first, self.last, self.batch_size, self.tokenizer = seed, first, last, batch_size, tokenizer

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield images ``(B, 3, S, S)`` in [-1, 1], subject masks ``(B, 1, S, S)`` and captions."""
        torch.set_num_threads(1)
        for step in range(self.first, self.last):
            batch = corpus_batch(self.seed, step, self.batch_size, IMAGE_SIZE)
            drop = generator(self.seed, "base", "drop", step).random(self.batch_size) < TEXT_DROP
            yield {
                "images": torch.from_numpy(batch["images"]).permute(0, 3, 1, 2).float() / 127.5 - 1,
                "masks": torch.from_numpy(batch["masks"])[:, None].float(),
                "captions": ["" if d else c for c, d in zip(batch["captions"], drop, strict=True)],
            }


def learning_rate(step: int, steps: int, peak: float, warmup: int = 300) -> float:
    """Linear warm-up, constant, then a cosine fall over the last 60 % to 2 % of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    fall = max(0.0, (step / steps - 0.4) / 0.6)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * fall)))


def make_optimizers(unet: torch.nn.Module, text_encoder: torch.nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the UNet's filters and matrices, AdamW for its biases and norms and for the text encoder."""
    filters = [p for n, p in unet.named_parameters() if p.ndim >= 2 and not n.startswith(("conv_in", "conv_out"))]
    known = {id(p) for p in filters}
    rest = [p for p in [*unet.parameters(), *text_encoder.parameters()] if id(p) not in known]
    return [Muon(filters, lr=rate), torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.99), weight_decay=0.01)]


@dataclass(frozen=True)
class BaseTraining:
    """Settings of ``train_base``."""

    steps: int
    batch_size: int
    peak_rate: float
    seed: int
    precision: str
    device: torch.device
    compile: bool = False
    ema_decay: float = 0.999
    checkpoint_every: int = 500


def train_base(settings: BaseTraining, checkpoint: Path, log: list[dict[str, float]]) -> BaseModel:
    """Train UNet and text encoder on world renders; resumes from ``checkpoint`` if it exists.

    The loss weighs subject pixels 1 + 3 to 1 against the background, and the timestep is 1000 u**0.6, which favours
    high noise: shapes are decided there. Appends ``{"step", "loss"}`` rows to ``log``. Returns the averaged weights.
    """
    base = new_base(settings.seed)
    base.to(settings.device)
    unet, text_encoder = base.unet, base.text_encoder
    torch.nn.Module.to(unet, memory_format=torch.channels_last)
    if settings.device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # torch's fused attention is the slower one on CPU, backwards
    parameters = [*unet.parameters(), *text_encoder.parameters()]
    optimizers = make_optimizers(unet, text_encoder, settings.peak_rate)
    ema = EMAModel(parameters, decay=settings.ema_decay, use_ema_warmup=True, power=0.75)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=settings.device, weights_only=True)
        unet.load_state_dict(state["unet"])
        text_encoder.load_state_dict(state["text_encoder"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        ema.load_state_dict(state["ema"])
        first = state["step"]
        log.extend(state["log"])
    codec = PixelCodec(PATCH)
    called = base.with_network(cast(UNet2DConditionModel, torch.compile(unet))) if settings.compile else base
    corpus = Corpus(settings.seed, first, settings.steps, settings.batch_size, base.tokenizer)
    loader = DataLoader(corpus, batch_size=None, num_workers=1, prefetch_factor=4)
    progress = tqdm(loader, total=settings.steps, initial=first, desc="train base", mininterval=5)
    running = 0.0
    for step, batch in enumerate(progress, start=first):
        rate = learning_rate(step, settings.steps, settings.peak_rate)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        draw = torch_generator(settings.seed, "base", "noise", step)
        x_start = codec.encode(batch["images"].to(settings.device)).contiguous(memory_format=torch.channels_last)
        noise = torch.randn(x_start.shape, generator=draw).to(x_start)
        timesteps = (1000 * torch.rand(len(x_start), generator=draw) ** 0.6).long().clamp(max=999).to(x_start.device)
        weight = 1 + SUBJECT_WEIGHT * F.avg_pool2d(batch["masks"].to(settings.device), PATCH)
        with torch.autocast(settings.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            conditions = base.encode_with_gradients(batch["captions"])
            loss = denoising_loss(
                partial(called.predict, conditions=conditions), base.schedule, x_start, noise, timesteps, weight
            ).mean()  # fmt: skip
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        ema.step(parameters)
        running = loss.item() if step == first else 0.98 * running + 0.02 * loss.item()
        if not math.isfinite(running):
            raise FloatingPointError(
                f"base training: loss {running} at step {step}; lower train_models.base_learning_rate"
            )
        if step % 50 == 0:
            progress.set_postfix(loss=f"{running:.4f}")
            log.append({"step": step, "loss": running})
        if (step + 1) % settings.checkpoint_every == 0:
            _save_checkpoint(checkpoint, base, optimizers, ema, step + 1, log)
    ema.copy_to(parameters)
    return base


def _save_checkpoint(
    path: Path,
    base: BaseModel,
    optimizers: list[torch.optim.Optimizer],
    ema: EMAModel,
    step: int,
    log: list[dict[str, float]],
) -> None:
    from suti.io.atomic import atomic_path

    state = {
        "unet": base.unet.state_dict(), "text_encoder": base.text_encoder.state_dict(),
        "optimizers": [o.state_dict() for o in optimizers], "ema": ema.state_dict(), "step": step, "log": log,
    }  # fmt: skip
    with atomic_path(path) as part:
        torch.save(state, part)
