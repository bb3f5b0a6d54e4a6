"""From noise to pictures and back: what a training step mixes and asks for, and how steps of sampling go.

``Diffusion`` is DDPM (Ho et al., arXiv 2006.11239), for epsilon, v and x_0. ``Flow`` is rectified flow (Liu et al.,
arXiv 2209.03003; Lipman et al., arXiv 2210.02747), for the velocity. Losses, trainings and drawing know neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

from suti.diffusion.sampling import Denoiser, sample_ddpm, sample_euler, sampling_scheduler
from suti.diffusion.settings import Sampling


class Schedule(Protocol):
    """A noise schedule. Times are what the network is called with: 0 is a clean picture, ``end`` is noise."""

    @property
    def end(self) -> int:
        """The time of pure noise; times lie below it, or at it."""

    def times(self, u: torch.Tensor) -> torch.Tensor:
        """Times of numbers ``u`` in [0, 1), of u's shape; uniform ones give the times of training."""

    def random_times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Times of training, ``(count,)``, from a CPU generator."""

    def noisy(self, x_start: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Inputs ``(B, C, h, w)`` at times ``(B,)``."""

    def target(self, x_start: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """What the network is trained to predict there, ``(B, C, h, w)``."""

    def sample(
        self, denoiser: Denoiser, shape: tuple[int, ...], sampling: Sampling, generators: Sequence[torch.Generator],
        device: torch.device, bounded: bool = False, callback: Callable[[int], None] | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Clean inputs of ``shape``, float32, from noise.

        Args:
            denoiser: maps ``(B, C, h, w)`` and times ``(B,)`` to the guided prediction.
            generators: one CPU generator a row, so that no row's noise depends on its batch.
            bounded: clean inputs lie in [-1, 1] (``Codec.bounded``).
            callback: called with the number of each finished step.
        """


@dataclass(frozen=True)
class Diffusion:
    """DDPM, in as many integer times as the scheduler was trained with."""

    scheduler: DDPMScheduler

    @property
    def end(self) -> int:
        """Number of timesteps."""
        return int(self.scheduler.config["num_train_timesteps"])

    def times(self, u: torch.Tensor) -> torch.Tensor:
        """Integer timesteps: ``end u``, rounded down."""
        return (self.end * u).long().clamp(max=self.end - 1)

    def random_times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Uniform integer timesteps."""
        return torch.randint(self.end, (count,), generator=generator)

    def noisy(self, x_start: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """``sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) epsilon`` (Eq. 4 of DDPM)."""
        return self.scheduler.add_noise(x_start, noise, cast(torch.IntTensor, t))

    def target(self, x_start: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Epsilon, v or x_0, as the scheduler's ``prediction_type`` says.

        Raises:
            ValueError: another prediction type.
        """
        kind = self.scheduler.config["prediction_type"]
        if kind == "epsilon":
            return noise
        if kind == "v_prediction":
            return self.scheduler.get_velocity(x_start, noise, cast(torch.IntTensor, t))
        if kind == "sample":
            return x_start
        raise ValueError(f"prediction_type: {kind!r}, expected epsilon, v_prediction or sample")

    def sample(
        self, denoiser: Denoiser, shape: tuple[int, ...], sampling: Sampling, generators: Sequence[torch.Generator],
        device: torch.device, bounded: bool = False, callback: Callable[[int], None] | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Ancestral DDPM sampling; bounded x_0 are clipped, or thresholded as Imagen does."""
        scheduler = sampling_scheduler(
            self.scheduler, pixel=bounded, dynamic_thresholding=sampling.dynamic_thresholding
        )
        return sample_ddpm(denoiser, scheduler, shape, generators, sampling.num_inference_steps, device, callback)


@dataclass(frozen=True)
class Flow:
    """Rectified flow: ``x_t = alpha x_0 + sigma noise`` with alpha = 1 - sigma and time ``end sigma``.

    Attributes:
        scheduler: of the base; its shift moves times towards noise, by a fixed factor or by the picture's size.
        tokens: of a picture in the network, for a shift by size (``use_dynamic_shifting``).
    """

    scheduler: FlowMatchEulerDiscreteScheduler
    tokens: int | None = None

    @property
    def end(self) -> int:
        """The time of pure noise."""
        return int(self.scheduler.config["num_train_timesteps"])

    @property
    def mu(self) -> float | None:
        """Log of the shift by size, linear in the picture's tokens; None: the shift is fixed.

        Raises:
            ValueError: the shift goes by size, and the size is not known.
        """
        c = self.scheduler.config
        if not c["use_dynamic_shifting"]:
            return None
        if self.tokens is None:
            raise ValueError("tokens: None, expected the tokens of a picture, as the scheduler shifts by size")
        slope = (c["max_shift"] - c["base_shift"]) / (c["max_image_seq_len"] - c["base_image_seq_len"])
        return float(c["base_shift"] + slope * (self.tokens - c["base_image_seq_len"]))

    def times(self, u: torch.Tensor) -> torch.Tensor:
        """``end`` times the shifted ``u`` (Esser et al., arXiv 2403.03206, Eq. 23)."""
        c = self.scheduler.config
        if self.mu is None:
            sigma = c["shift"] * u / (1 + (c["shift"] - 1) * u)
        elif c["time_shift_type"] == "linear":
            sigma = self.mu * u / (1 + (self.mu - 1) * u)
        else:
            shift = torch.tensor(self.mu).exp()
            sigma = shift * u / (1 + (shift - 1) * u)
        return self.end * sigma

    def random_times(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """``times`` of uniform draws."""
        return self.times(torch.rand(count, generator=generator))

    def alpha_sigma(self, t: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shares of picture and of noise at times ``(B,)``, each ``(B, 1, ...)`` to multiply ``like`` with."""
        sigma = (t.to(like) / self.end).view(-1, *[1] * (like.ndim - 1))
        return 1 - sigma, sigma

    def noisy(self, x_start: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """``(1 - sigma) x_0 + sigma noise``."""
        alpha, sigma = self.alpha_sigma(t, x_start)
        return alpha * x_start + sigma * noise

    def target(self, x_start: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The velocity ``d x_t / d sigma = noise - x_0``, the same at all times."""
        return noise - x_start

    def x_start_of(self, velocity: torch.Tensor, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """x_0 that a velocity at x means: ``x - sigma velocity``."""
        return x - self.alpha_sigma(t, x)[1] * velocity

    def noise_of(self, velocity: torch.Tensor, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Noise that a velocity at x means: ``x + alpha velocity``."""
        return x + self.alpha_sigma(t, x)[0] * velocity

    def sample(
        self, denoiser: Denoiser, shape: tuple[int, ...], sampling: Sampling, generators: Sequence[torch.Generator],
        device: torch.device, bounded: bool = False, callback: Callable[[int], None] | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Euler steps on the scheduler's own grid; ``bounded`` and dynamic thresholding are DDPM's and change nothing.

        Raises:
            ValueError: the scheduler adds noise on the way (``stochastic_sampling``).
        """
        if self.scheduler.config["stochastic_sampling"]:
            raise ValueError("stochastic_sampling: True, expected a scheduler whose steps add no noise")
        grid = FlowMatchEulerDiscreteScheduler.from_config(self.scheduler.config)
        grid.set_timesteps(sampling.num_inference_steps, device=device, mu=self.mu)
        return sample_euler(denoiser, grid.timesteps, grid.sigmas, shape, generators, device, callback)
