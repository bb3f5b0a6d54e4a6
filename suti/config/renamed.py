"""Keys that the configuration had: a file that has one is told what to write now, or that the line goes."""

from __future__ import annotations

_NESTED = {
    "dreambooth": ("steps", "learning_rate", "batch_size"),
    "dream_suti": ("steps", "learning_rate"),
    "re_imagen": ("steps",),
    "textual_inversion": ("steps", "learning_rate", "batch_size", "vectors"),
    "null_text": ("inner_steps", "learning_rate", "early_stop", "guidance_scale", "cross_share", "self_share"),
    "imagic": ("embedding_steps", "embedding_learning_rate", "steps", "learning_rate", "batch_size", "eta"),
    "instruct_pix2pix": (
        "edits", "draws", "keep", "min_image", "min_text", "min_direction", "steps", "batch_size", "learning_rate",
        "drop", "guidance_scale", "image_guidance_scale",
    ),
}  # fmt: skip

RENAMED = {
    **{f"baselines.{system}_{key}": f"baselines.{system}.{key}" for system, keys in _NESTED.items() for key in keys},
    "baselines.null_text_inference_steps": "baselines.null_text.num_inference_steps",
    "baselines.identifier": "baselines.dreambooth.identifier",
    "baselines.prior_preservation": "baselines.dreambooth.prior_preservation",
    "baselines.prior_images": "baselines.dreambooth.prior_images",
    "baselines.prior_weight": "baselines.dreambooth.prior_weight",
}
"""Dotted key of now by the dotted key of before. A key that is renamed is added here."""

REMOVED = {
    "evaluation.demonstration_spread": "the world's demonstrations are of the same kind as the pictures of its pages",
    "apprentice.demonstration_augmentation": "demonstrations are shown in training as the pages have them",
}
"""Why a key is gone, by its dotted name, for keys that no other one stands for."""


def written(key: str) -> str:
    """A dotted key as YAML on one line: 'experts.steps' is 'experts: {steps: ...}'."""
    first, *rest = key.split(".")
    return f"{first}: " + "".join(f"{{{part}: " for part in rest) + "..." + "}" * len(rest)
