"""Any transformers image-to-text model as a captioner: BLIP, GIT, or a chat model that sees pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from suti.compute import to_device
from suti.config.schema import Compute
from suti.devices import pick_device
from suti.io.model_specs import model_folder

QUESTION = "Describe this picture in one short sentence that starts with the main object."


class Captioner:
    """``caption(images)`` by greedy decoding, so equal pictures have equal captions."""

    def __init__(self, model: Any, processor: Any, device: torch.device, name: str) -> None:
        self.model, self.processor, self.device, self.name = model, processor, device, name

    @torch.inference_mode()
    def caption(self, images: Sequence[np.ndarray], max_new_tokens: int = 24) -> list[str]:
        """Captions of N uint8 ``(H, W, 3)`` pictures of any sizes, in one forward pass.

        A caption depends on its own picture alone, up to rounding of the batch's shape; where equal bytes
        matter, callers caption one cluster at a time.
        """
        if len(images) == 0:
            return []
        pictures = [Image.fromarray(np.ascontiguousarray(image)).convert("RGB") for image in images]
        inputs, start = self._inputs(pictures)
        inputs = inputs.to(self.device)
        for name, value in inputs.items():
            if torch.is_tensor(value) and value.is_floating_point():
                inputs[name] = value.to(self.model.dtype)
        output = self.model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1)
        texts = self.processor.batch_decode(output[:, start:], skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]

    def _inputs(self, pictures: list[Image.Image]) -> tuple[Any, int]:
        """Model inputs, and the number of leading output tokens that repeat the question (chat models)."""
        if not getattr(self.processor, "chat_template", None):
            return self.processor(images=pictures, return_tensors="pt"), 0
        content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
        text = self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        if getattr(self.processor, "tokenizer", None) is not None:
            self.processor.tokenizer.padding_side = "left"
        # One list a picture: processors take a flat list for the pictures of a single conversation.
        inputs = self.processor(
            text=[text] * len(pictures), images=[[p] for p in pictures], padding=True, return_tensors="pt"
        )
        return inputs, int(inputs["input_ids"].shape[1])


def load_captioner(spec: str, compute: Compute) -> Captioner:
    """Captioner of a folder or hub id, in evaluation mode.

    Raises:
        FileNotFoundError: the spec is a path and there is no such folder.
        ValueError: the model is no image-to-text model (names ``models.captioner`` and the remedy).
    """
    folder = model_folder(spec)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(
            f"models.captioner: no folder {spec!r}; "
            "train the shipped one with `make models`, or name a folder or hub id"
        )
    name = str(folder or spec)
    torch.set_num_threads(compute.threads)
    device = pick_device(compute)
    dtype = torch.bfloat16 if compute.precision == "bf16" and device.type == "cuda" else torch.float32
    try:
        processor = AutoProcessor.from_pretrained(name)
        model = AutoModelForImageTextToText.from_pretrained(name, dtype=dtype)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"models.captioner: {spec!r} cannot be loaded ({error}); name a folder or hub id of a "
            "transformers image-to-text model with its processor, e.g. Salesforce/blip-image-captioning-base"
        ) from error
    return Captioner(to_device(model, device).eval(), processor, device, spec)
