"""The model card that ``SuTIPipeline.save_pretrained`` writes beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CALL = """```python
import torch
from PIL import Image
from suti.models.pipeline import SuTIPipeline

pipe = SuTIPipeline.from_pretrained("FOLDER")
subject = pipe.encode_subject([(Image.open("1.png"), "a teapot"), (Image.open("2.png"), "a teapot on a table")])
pictures = pipe("a teapot in the snow", demonstrations=subject, generator=torch.Generator().manual_seed(0)).images
```

`demonstrations` may also be the list of (picture, text) itself. Their number is free, their order does not matter, and
without any the model draws from the text alone. An encoded subject serves any number of prompts."""

PLAIN_CALL = """```python
from suti.models.pipeline import SuTIPipeline

pictures = SuTIPipeline.from_pretrained("FOLDER")("a teapot in the snow").images
```"""

LIMITS = """- It draws what its experts drew, and not better: their flaws are in the training set.
- The text encoder is the base's. Words that it never saw with pictures mean nothing to it.
- Fine details of a subject (lettering, small patterns) are lost first; compare with the demonstrations.
- Leave out people who were not asked, keep to the licences of the pictures, and do not pass off what is drawn as a
  photo."""
BASE_LIMITS = "It knows no subject but by text, and no more of the world than its training pictures showed."


def model_card(
    image_size: int, parameters: int, new_parameters: int | None, latent: bool, provenance: Mapping[str, Any] | None
) -> str:
    """Markdown with a YAML head: what the model is, how it was trained, how to call it, limits.

    Args:
        image_size: side of the pictures, pixels.
        parameters: of the UNet; new_parameters: of them those of the attention over demonstrations, None for a base.
        latent: whether it works in a VAE's space.
        provenance: what ``suti.io.provenance`` records of the training, if it is known.
    """
    apprentice = new_parameters is not None
    title = "SuTI apprentice" if apprentice else "Text-to-image base"
    space = "a VAE's latents" if latent else "pixels"
    lines = [
        "---", "library_name: diffusers", "pipeline_tag: text-to-image",
        f"tags: [text-to-image, {'subject-driven, suti' if apprentice else 'suti'}]", "---", "",
        f"# {title}, {image_size} x {image_size}", "", "## What it is", "",
    ]  # fmt: skip
    if new_parameters is not None:
        lines += [
            "One diffusion model that draws a subject from a few demonstrations (picture, text) in a new context, with",
            "no fine-tuning: an open reproduction of SuTI (arXiv 2304.00186). It is a text-to-image UNet with new",
            "attention layers over the demonstrations, which pass through the UNet's own down-stack.",
            "",
            f"The UNet works in {space} and has {parameters:,} parameters, {new_parameters:,} of them "
            f"({new_parameters / max(1, parameters - new_parameters):.1%} of the base's) in the new layers.",
        ]
    else:
        lines += [f"A text-to-image diffusion model in {space}; its UNet has {parameters:,} parameters."]
    lines += ["", "## How it was trained", "", *_training(provenance)]
    lines += ["", "## How to call it", "", CALL if apprentice else PLAIN_CALL]
    lines += [
        "",
        "## Limits",
        "",
        LIMITS if apprentice else BASE_LIMITS,
    ]
    return "\n".join(lines) + "\n"


def _training(provenance: Mapping[str, Any] | None) -> list[str]:
    if provenance is None:
        return ["Not recorded."]
    known = ("subjects", "samples", "seconds", "hardware", "code_version")
    lines = [f"- {name.replace('_', ' ')}: {provenance[name]}" for name in known if name in provenance]
    settings = provenance.get("settings", {})
    flat = {**settings, **(settings.get("apprentice") or {})}
    rows = [f"| `{name}` | {value} |" for name, value in sorted(flat.items()) if not isinstance(value, dict)]
    return [*lines, "", "| setting | value |", "|---|---|", *rows]
