"""Image and text encoders by spec: one loader for mining, filtering and evaluation.

suti/io/model_specs.py says how a spec names the library and the model. With transformers that is a CLIPModel,
CLIPVisionModelWithProjection, Dinov2Model, ViTModel or the like.

Every encoder preprocesses as its own folder says and returns L2-normalised float32 rows, so a product of
rows is a cosine. A row depends on its own picture alone up to float rounding of the batch's shape; where
equal bytes matter, callers embed one subject at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from suti.compute import to_device
from suti.config.schema import Compute
from suti.devices import pick_device
from suti.io.model_specs import HF_HUB, LOCAL_DIR, OPEN_CLIP, SPEC_FORMS, TRANSFORMERS, model_folder


@runtime_checkable
class ImageEncoder(Protocol):
    """Pictures to unit vectors. ``name`` is the spec, as written into the protocol of every metric."""

    name: str

    def embed(self, images: Sequence[np.ndarray], batch_size: int = 64) -> np.ndarray:
        """Embeddings, float32 ``(N, D)`` with rows of length 1, of N uint8 ``(H, W, 3)`` pictures of any
        sizes."""
        ...


@runtime_checkable
class TextImageEncoder(ImageEncoder, Protocol):
    """An encoder with both towers of a CLIP: pictures and texts in one space."""

    def embed_text(self, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """Embeddings, float32 ``(N, D)`` with rows of length 1, of N texts."""
        ...


def load_image_encoder(spec: str, compute: Compute | None = None) -> ImageEncoder:
    """Encoder of pictures named by ``spec``, on the device of ``compute``, in float32 and evaluation mode.

    Raises:
        ValueError: a spec of no known form, or a model that has no image tower.
        FileNotFoundError: a folder that does not exist or lacks its configuration.
        RuntimeError: a hub id that cannot be loaded.
    """
    return _load(spec, compute or Compute())


def load_text_image_encoder(spec: str, compute: Compute | None = None) -> TextImageEncoder:
    """As ``load_image_encoder``, for a CLIP with both towers.

    Raises:
        ValueError: the model has no text tower (delta-CLIP and CLIP-T compare pictures with prompts).
    """
    encoder = _load(spec, compute or Compute())
    if not encoder.has_text:
        raise ValueError(
            f"{spec}: this model has no text tower, and scores of pictures against prompts need one; "
            "name a CLIP with "
            "both towers, e.g. open_clip:ViT-L-14/openai or open_clip:local-dir:resources/models/clip"
        )
    return encoder


class Encoder:
    """Both protocols over three callables, so that each library is one small function below."""

    def __init__(
        self,
        name: str,
        device: torch.device,
        preprocess: Callable[[list[Image.Image]], torch.Tensor],
        encode_image: Callable[[torch.Tensor], torch.Tensor],
        encode_text: Callable[[list[str]], torch.Tensor] | None = None,
    ) -> None:
        self.name = name
        self.device = device
        self.has_text = encode_text is not None
        self._preprocess, self._encode_image, self._encode_text = preprocess, encode_image, encode_text

    @torch.inference_mode()
    def embed(self, images: Sequence[np.ndarray], batch_size: int = 64) -> np.ndarray:
        """See ``ImageEncoder.embed``."""
        if len(images) == 0:
            return self.embed([np.zeros((32, 32, 3), np.uint8)])[:0]
        rows = []
        starts = range(0, len(images), batch_size)
        for start in tqdm(starts, desc="embedding pictures", disable=len(starts) == 1, mininterval=5):
            pictures = [_pil(image) for image in images[start : start + batch_size]]
            rows.append(_unit(self._encode_image(self._preprocess(pictures).to(self.device))))
        return np.concatenate(rows)

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """See ``TextImageEncoder.embed_text``."""
        if self._encode_text is None:
            raise ValueError(f"{self.name}: no text tower; load it with load_text_image_encoder for a clear remedy")
        if len(texts) == 0:
            return self.embed_text(["a"])[:0]
        chunks = [list(texts[start : start + batch_size]) for start in range(0, len(texts), batch_size)]
        return np.concatenate([_unit(self._encode_text(chunk)) for chunk in chunks])


def _pil(image: np.ndarray) -> Image.Image:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"picture of {image.dtype} {image.shape}, expected uint8 (H, W, 3); convert it to RGB first")
    return Image.fromarray(image)


def _unit(features: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy()


def _load(spec: str, compute: Compute) -> Encoder:
    if not spec.startswith((OPEN_CLIP, TRANSFORMERS)):
        raise ValueError(f"encoder {spec!r}: unknown form, expected {SPEC_FORMS}")
    folder = model_folder(spec)
    if folder is not None:
        _require_folder(spec, folder, "open_clip_config.json" if spec.startswith(OPEN_CLIP) else "config.json")
    load = _load_open_clip if spec.startswith(OPEN_CLIP) else _load_transformers
    return load(spec, pick_device(compute))


def _require_folder(spec: str, folder: Path, config: str) -> None:
    remedy = "run `make models` if it is one of the shipped models, or correct the path in the configuration"
    if not folder.is_dir():
        raise FileNotFoundError(f"encoder {spec!r}: the folder {folder} does not exist; {remedy}")
    if not (folder / config).is_file():
        raise FileNotFoundError(f"encoder {spec!r}: {folder} is not a model folder, it has no {config}; {remedy}")


def _load_open_clip(spec: str, device: torch.device) -> Encoder:
    import open_clip

    name = spec.removeprefix(OPEN_CLIP)
    pretrained = None
    if not name.startswith((LOCAL_DIR, HF_HUB)):
        name, _, pretrained = name.partition("/")
        if not pretrained:
            raise ValueError(f"encoder {spec!r}: expected open_clip:MODEL/PRETRAINED, e.g. open_clip:ViT-L-14/openai")
        tags = open_clip.list_pretrained_tags_by_model(name)
        if pretrained not in tags:
            known = ", ".join(tags) or "none; models are listed by open_clip.list_models()"
            raise ValueError(f"encoder {spec!r}: open_clip has no weights {pretrained!r} of {name!r} (known: {known})")
    try:
        model, _, transform = open_clip.create_model_and_transforms(name, pretrained=pretrained, device=device)
        tokenizer = open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, ValueError) as error:
        raise RuntimeError(f"encoder {spec!r}: cannot be loaded ({_line(error)}); {_HUB_REMEDY}") from error
    model.eval().requires_grad_(False)
    return Encoder(
        spec,
        device,
        lambda pictures: torch.stack([transform(picture) for picture in pictures]),
        model.encode_image,
        lambda texts: model.encode_text(tokenizer(texts).to(device)),
    )


def _load_transformers(spec: str, device: torch.device) -> Encoder:
    from transformers import (
        AutoConfig,
        AutoImageProcessor,
        AutoModel,
        AutoTokenizer,
        CLIPVisionModelWithProjection,
    )

    name = str(model_folder(spec) or spec.removeprefix(TRANSFORMERS))
    try:
        config = AutoConfig.from_pretrained(name)
        processor = AutoImageProcessor.from_pretrained(name)
        projected_vision = "CLIPVisionModelWithProjection" in (config.architectures or [])
        kind: Any = CLIPVisionModelWithProjection if projected_vision else AutoModel
        model = kind.from_pretrained(name)
        two_towers = hasattr(model, "get_text_features")
        tokenizer = AutoTokenizer.from_pretrained(name) if two_towers else None
    except (OSError, RuntimeError, ValueError) as error:
        raise RuntimeError(f"encoder {spec!r}: cannot be loaded ({_line(error)}); {_HUB_REMEDY}") from error
    if not two_towers and "pixel_values" not in getattr(model, "main_input_name", "pixel_values"):
        raise ValueError(f"encoder {spec!r}: {type(model).__name__} takes no pictures; name an image model")
    to_device(model, device, torch.float32).eval().requires_grad_(False)

    def encode_image(pixels: torch.Tensor) -> torch.Tensor:
        if two_towers:
            return _pooled(model.get_image_features(pixel_values=pixels))
        output: Any = model(pixel_values=pixels)
        if projected_vision:
            return output.image_embeds
        # The CLS token after the last norm. The pooler of a ViTModel is a head that DINO weights do not have.
        return output.last_hidden_state[:, 0]

    def encode_text(texts: list[str]) -> torch.Tensor:
        assert tokenizer is not None, "called with two towers only"
        length = getattr(config.text_config, "max_position_embeddings", None)
        tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        return _pooled(model.get_text_features(**tokens.to(device)))

    return Encoder(
        spec,
        device,
        lambda pictures: processor(images=pictures, return_tensors="pt")["pixel_values"],
        encode_image,
        encode_text if two_towers else None,
    )


_HUB_REMEDY = "check the name, the network, or give the path of a local model folder"


def _pooled(output: Any) -> torch.Tensor:
    """The feature tensor: transformers 5 wraps it into a model output, earlier ones return it bare."""
    return output if isinstance(output, torch.Tensor) else output.pooler_output


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
