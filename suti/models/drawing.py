"""The loop that draws: every system's pictures, an expert's samples and a person's go through ``sample``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from suti.diffusion.sampling import guide
from suti.diffusion.settings import Sampling
from suti.models.backbone import Backbone, References
from suti.models.conditions import Conditions, join_rows


def draw(
    base: Backbone,
    prompts: Sequence[str] | Conditions,
    references: References | None,
    generators: Sequence[torch.Generator],
    sampling: Sampling,
    callback: Callable[[int], None] | None = None,
    experts: int = 1,
) -> np.ndarray:
    """Draw one picture a prompt: ``sample`` as pictures, uint8 ``(B, H, W, 3)``."""
    return to_images(base, sample(base, prompts, references, generators, sampling, callback, experts))


@torch.no_grad()
def sample(
    base: Backbone,
    prompts: Sequence[str] | Conditions,
    references: References | None,
    generators: Sequence[torch.Generator],
    sampling: Sampling,
    callback: Callable[[int], None] | None = None,
    experts: int = 1,
) -> torch.Tensor:
    """Clean inputs ``(B, C, h, w)``, one a prompt; ``sampling.images_per_prompt`` is the caller's matter.

    Text and references are dropped together in the unconditional pass, unless the references have a weight of their
    own: then a pass with the references alone stands between,
    ``e(0, 0) + w_d (e(0, C) - e(0, 0)) + w (e(p, C) - e(0, C))`` (as InstructPix2Pix, arXiv 2211.09800, section 3.2,
    weighs its picture and its text). All passes share one prediction, and the demonstrations' keys and values.
    Guidance ends after ``guidance_stop`` of the noise schedule, and a step is then the conditional pass alone: at low
    noise guidance is largely unnecessary (Kynkäänniemi et al., arXiv 2404.07724), and here it coarsens
    experts' textures (docs/results/guidance.json).

    Args:
        prompts: texts, or their conditions if they are known already.
        references: demonstrations of one subject, or of as many as there are ``experts``; None or empty: none.
        generators: one CPU generator a picture.
        callback: called with the number of each finished step.
        experts: with more than one (``suti.experts.batched``) the prompts are those of several experts, one expert's
            after another's and as many of each; rows of a prediction are then expert-major too, all passes of an
            expert together.
    """
    device, count, scale = base.device, len(prompts), sampling.guidance_scale
    wanted = prompts if isinstance(prompts, Conditions) else base.encode(prompts)
    weight = scale if sampling.demonstration_guidance_scale is None else sampling.demonstration_guidance_scale
    # (whether a pass sees the text, whether it sees the references)
    if references and weight != scale:
        passes = [(False, False), (False, True), (True, True)]
    else:
        passes = [(False, False), (True, True)] if scale != 1 else [(True, True)]
    dropped = base.encode([""]).expand(count) if len(passes) > 1 else wanted

    def seen(made: Sequence[tuple[bool, bool]]) -> tuple[Conditions, References | None]:
        """Text and references of the rows of a prediction that makes these passes."""
        texts = Conditions.join([wanted if with_text else dropped for with_text, _ in made], experts).to(base.dtype)
        if not references:
            return texts, None
        present = join_rows([torch.full((count,), float(shown), device=device) for _, shown in made], experts)
        return texts, references.with_present(present)

    guided, unguided = seen(passes), seen(passes[-1:])
    last_guided = (1 - sampling.guidance_stop) * base.schedule.end

    def denoiser(x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        x = x.to(base.dtype)
        n, told = (len(passes), guided) if times[0] >= last_guided else (1, unguided)
        out = base.predict(join_rows([x] * n, experts), join_rows([times] * n, experts), *told)
        parts = [part.flatten(0, 1) for part in out.unflatten(0, (experts, n, -1)).unbind(1)]
        if n == 1:
            return parts[0]
        if n == 2:
            return guide(parts[1], parts[0], scale)
        return guide(parts[1], parts[0], weight) + scale * (parts[2] - parts[1])

    shape = (count, *base.shape)
    return base.schedule.sample(denoiser, shape, sampling, generators, device, base.codec.bounded, callback)


@torch.no_grad()
def to_images(base: Backbone, x_start: torch.Tensor) -> np.ndarray:
    """Clean inputs ``(B, C, h, w)`` as pictures, uint8 ``(B, H, W, 3)``."""
    pictures = base.codec.decode(x_start)
    return ((pictures.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
