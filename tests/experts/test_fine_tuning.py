"""Fine-tuning one subject: the base comes back untouched, nothing depends on neighbours, divergence is caught."""

from __future__ import annotations

import math

import pytest
import torch

from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.diffusion.sampling import guide, sample_ddpm, sampling_scheduler
from suti.diffusion.schedules import Diffusion
from suti.experts.fine_tuning import FineTuning, TrainingSet, fine_tune, fixed_rate_adafactor, subject_unet
from tests.tiny import tiny_base

FP32 = Compute(precision="fp32", device="cpu")
METHODS = ["full", "lora"]


def subject(base, seed: int = 0) -> TrainingSet:
    generator = torch.Generator().manual_seed(seed)
    return TrainingSet(torch.randn(3, *base.shape, generator=generator), base.encode(["a cat"] * 3))


def weights(unet) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in unet.state_dict().items()}


def tuned(base, data, method, key, steps=3, rate=1e-2):
    """Prediction of the tuned network on a fixed input, and the loss."""
    tuning = FineTuning(method, steps, 2, rate, 2)
    x, text = subject(base, 9).x_start, base.encode(["a cat"] * 3).hidden_states
    with subject_unet(base, tuning) as (unet, parameters):
        loss = fine_tune(base, parameters, data, tuning, FP32, key)
        with torch.no_grad():
            return unet(x, torch.tensor([500] * 3), text).sample, loss


@pytest.mark.parametrize("kind", ["pixel", "latent", "if"])
@pytest.mark.parametrize("method", METHODS)
def test_the_base_comes_back_and_experts_do_not_touch_each_other(kind, method):
    base = tiny_base(kind)
    before, data, other = weights(base.unet), subject(base), subject(base, 1)
    first, loss = tuned(base, data, method, (0, "expert", "a"))
    tuned(base, other, method, (0, "expert", "b"))
    again, _ = tuned(base, data, method, (0, "expert", "a"))
    assert math.isfinite(loss) and torch.equal(first, again)
    after = weights(base.unet)
    assert before.keys() == after.keys() and all(torch.equal(before[n], after[n]) for n in before)
    with torch.no_grad():
        plain = base.unet(
            subject(base, 9).x_start, torch.tensor([500] * 3), base.encode(["a cat"] * 3).hidden_states
        ).sample
    assert (plain - first).abs().max() > 1e-4, "training changed nothing"


@pytest.mark.parametrize("method", METHODS)
def test_an_expert_fits_its_subject(method):
    base = tiny_base()
    data = subject(base)

    def error() -> float:
        total = 0.0
        for seed in range(8):
            generator = torch.Generator().manual_seed(seed)
            noise = torch.randn(data.x_start.shape, generator=generator)
            timesteps = torch.randint(1000, (3,), generator=generator)
            with torch.no_grad():
                total += denoising_loss(
                    lambda x, t: base.predict(x, t, data.conditions), base.schedule, data.x_start, noise, timesteps
                ).mean().item()  # fmt: skip
        return total

    tuning = FineTuning(method, 80, 3, 1e-2, 4)
    start = error()
    with subject_unet(base, tuning) as (_, parameters):
        fine_tune(base, parameters, data, tuning, FP32, (0, "fit"))
        assert error() < 0.9 * start


def test_divergence_is_told():
    base = tiny_base()
    data = subject(base)
    broken = TrainingSet(torch.full_like(data.x_start, float("nan")), data.conditions)
    before = weights(base.unet)
    _, loss = tuned(base, broken, "full", (0,))
    assert not math.isfinite(loss)
    assert all(torch.equal(before[n], p) for n, p in weights(base.unet).items())


def test_adafactor_has_a_fixed_rate():
    """First step of Adafactor with decay 1 - 1 = 0: the update is g / rms-factored g, of rate's size exactly."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = fixed_rate_adafactor([parameter], 0.25)
    for gradient in (torch.tensor([2.0, -2.0, 2.0]), torch.tensor([0.5, -0.5, 0.5])):
        before = parameter.detach().clone()
        parameter.grad = gradient.clone()
        optimizer.step()
        # |g| is equal in all entries: clipped or not, the first update is sign(g) times the rate
        torch.testing.assert_close((before - parameter).detach()[0].sign(), torch.tensor(1.0))
        if before.abs().max() == 0:
            torch.testing.assert_close(before - parameter.detach(), 0.25 * gradient.sign())


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_loss_is_zero_for_the_true_answer_and_counts_by_hand(prediction):
    base = tiny_base()
    scheduler = type(base.scheduler).from_config(base.scheduler.config, prediction_type=prediction)
    x, noise = torch.randn(2, 12, 4, 4), torch.randn(2, 12, 4, 4)
    timesteps = torch.tensor([100, 900])
    alpha = scheduler.alphas_cumprod[timesteps].view(2, 1, 1, 1)
    answer = {"epsilon": noise, "sample": x, "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * x}[prediction]
    schedule = Diffusion(scheduler)
    torch.testing.assert_close(schedule.target(x, noise, timesteps), answer)
    loss = denoising_loss(lambda *_: answer + torch.tensor([1.0, 2.0]).view(2, 1, 1, 1), schedule, x, noise, timesteps)
    torch.testing.assert_close(loss, torch.tensor([1.0, 4.0]))
    weight = torch.zeros(2, 1, 4, 4)
    weight[:, :, 0, 0] = 16.0
    weighted = denoising_loss(lambda *_: answer + 1.0, schedule, x, noise, timesteps, weight)
    torch.testing.assert_close(weighted, torch.tensor([1.0, 1.0]))


def test_guidance_by_hand():
    conditional, unconditional = torch.tensor([3.0]), torch.tensor([1.0])
    assert guide(conditional, unconditional, 0).item() == 1
    assert guide(conditional, unconditional, 1).item() == 3
    assert guide(conditional, unconditional, 30).item() == 61


def test_sampling_finds_x_start_and_rows_do_not_mix():
    base = tiny_base()
    scheduler = sampling_scheduler(base.scheduler, pixel=True, dynamic_thresholding=False)
    wanted = torch.rand(2, 12, 4, 4) * 2 - 1

    def oracle(x, timesteps):
        alpha = scheduler.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
        noise = (x - alpha.sqrt() * wanted[: len(x)]) / (1 - alpha).sqrt()
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * wanted[: len(x)]

    make = lambda n: [torch.Generator().manual_seed(i) for i in range(n)]  # noqa: E731
    drawn = sample_ddpm(oracle, scheduler, (2, 12, 4, 4), make(2), 8, torch.device("cpu"))
    torch.testing.assert_close(drawn, wanted, atol=1e-3, rtol=0)
    alone = sample_ddpm(oracle, scheduler, (1, 12, 4, 4), make(1), 8, torch.device("cpu"))
    torch.testing.assert_close(alone[0], drawn[0], atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="one for each of the 2 rows"):
        sample_ddpm(oracle, scheduler, (2, 12, 4, 4), make(1), 2, torch.device("cpu"))
