"""An expert trained by the plain loop, and experts trained at once, on a tiny base."""

from __future__ import annotations

import torch

from suti.compute import autocast
from suti.config.schema import Compute
from suti.experts.batched.training import stacked_unet, train_experts
from suti.experts.fine_tuning import FineTuning, TrainingSet, fine_tune, subject_unet
from suti.seeds import torch_generator

FP32 = Compute(precision="fp32", device="cpu")
CASES = [(kind, method) for kind in ("pixel", "latent") for method in ("lora", "full")]


def tuning(method: str = "lora", steps: int = 2, rows: int = 2, rate: float = 1e-2) -> FineTuning:
    return FineTuning(method, steps, rows, rate, 2, ("conv_in", "conv_out"))


def subject(base, seed: int) -> TrainingSet:
    """3 to 5 pictures; latent bases see latents."""
    draw = torch.Generator().manual_seed(seed)
    count = 3 + seed % 3
    conditions = base.encode([f"a {word} cat" for word in ("red", "green", "blue", "small", "old")[:count]])
    return TrainingSet(torch.randn(count, *base.shape, generator=draw).to(base.device), conditions)


def probe(base) -> tuple[torch.Tensor, ...]:
    """Two rows of UNet inputs, their timesteps and texts."""
    x = torch.randn(2, *base.shape, generator=torch.Generator().manual_seed(99)).to(base.device)
    return x, torch.tensor([300, 700], device=base.device), base.encode(["a cat", "a dog"]).hidden_states


def alone(base, number: int, settings: FineTuning, compute: Compute = FP32) -> tuple[torch.Tensor, float]:
    """Prediction and loss of an expert trained by the plain loop."""
    with subject_unet(base, settings) as (unet, parameters):
        loss = fine_tune(base, parameters, subject(base, number), settings, compute, (0, "expert", str(number)))
        with torch.no_grad(), autocast(compute, base.device):
            return unet(*probe(base)).sample, loss


def together(base, numbers, settings: FineTuning, data=None, micro_batch=None, compute: Compute = FP32):
    """Predictions, losses and weights of experts trained at once."""
    generators = [torch_generator(0, "expert", str(n)) for n in numbers]
    data = data or [subject(base, n) for n in numbers]
    with stacked_unet(base, settings, generators, compute) as parameters:
        losses = train_experts(base, parameters, data, generators, settings, compute, micro_batch)
        x, timesteps, text = probe(base)
        count = len(numbers)
        with torch.no_grad(), autocast(compute, base.device):
            out = base.unet(x.repeat(count, 1, 1, 1), timesteps.repeat(count), text.repeat(count, 1, 1)).sample
        return out.float().chunk(count), losses, [parameters.of_expert(k) for k in range(count)]


def same(weights: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are equal to the bit."""
    return weights.keys() == wanted.keys() and all(torch.equal(weights[n], wanted[n]) for n in wanted)
