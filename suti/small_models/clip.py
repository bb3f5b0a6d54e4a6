"""The world's CLIP: a small ConvNeXt (timm) and a small text transformer, trained and saved by open_clip.

It mines (same-subject pages against mixed pages and near-duplicates), filters (delta-CLIP, Eq. 6) and
measures (CLIP-I, CLIP-T). The loss is CLIP's own plus an image-image term over two views of a subject: real
CLIP models see one product under many backgrounds and learn this by themselves; renders do not teach it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase

from suti.io.atomic import atomic_path, write_json
from suti.seeds import generator, stable_hash
from suti.small_models.companions import Companions, Tensors, to_float
from suti.small_models.loop import LoopSettings, train
from suti.small_models.pool import Pool, Stream
from suti.small_models.records import Judge, evaluate, store_half
from suti.small_models.streams import IMAGE_SIZE
from suti.small_models.views import augment, draw_views, page_like, retrieval, supervised_contrastive
from suti.small_models.vocabulary import build_tokenizer, vocabulary_words
from suti.world.language import caption, describe, scene_phrase
from suti.world.scenes import Scene
from suti.world.subjects import Subject
from suti.world.vocabulary import SKETCH

CONTEXT_LENGTH: Final = 28
SUBJECTS_PER_BATCH: Final = 64
CAPTIONS: Final = 4  # of each picture, of which a step takes one
IDENTITY_WEIGHT: Final = 0.5
PREPROCESS: Final[dict[str, Any]] = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def model_config(vocab_size: int) -> dict[str, Any]:
    """open_clip's ``model_cfg``: image tower of 1.9M parameters on 16 x 16 cells, text tower of .8M."""
    return {
        "embed_dim": 128,
        "vision_cfg": {
            "image_size": IMAGE_SIZE,
            "timm_model_name": "convnext_zepto_rms",
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
        },
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": vocab_size,
            "hf_tokenizer_name": ".",  # local-dir: the tokenizer's files lie in the model's own folder
            "width": 128,
            "heads": 4,
            "layers": 3,
            "pool_type": "eos",
            "pad_id": 0,
            "eos_id": 3,
        },
    }


def new_clip(seed: int, tokenizer: PreTrainedTokenizerBase) -> CLIP:
    """The untrained model."""
    torch.manual_seed(stable_hash(seed, "clip", "init", bits=56))
    config = model_config(len(tokenizer))
    model = CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])
    for name, parameter in model.visual.named_parameters():
        if name.endswith(".gamma"):  # layer scale: timm's 1e-6 is for long schedules, here blocks must help at once
            torch.nn.init.constant_(parameter, 0.1)
    return model


def identity_caption(subject: Subject, scene: Scene) -> str:
    """A caption that names the subject's look: colours, pattern, decal, then the scene's own words."""
    return scene_phrase(subject, scene).replace(subject.class_name, describe(subject), 1)


def training_caption(subject: Subject, scene: Scene, rng: np.random.Generator, noise: list[str]) -> str:
    """A true caption: plain, as prompts are, or with the subject's look; now and then a stray word."""
    if scene.recolour is None and scene.style != SKETCH and rng.uniform() < 0.3:
        text = identity_caption(subject, scene)
    else:
        text = caption(subject, scene, rng)
    if rng.uniform() < 0.1:
        words = text.split()
        words.insert(int(rng.integers(1, len(words) + 1)), noise[int(rng.integers(len(noise)))])
        text = " ".join(words)
    return text


class TextTargets:
    """Reads a block for CLIP: pictures, every other subject's as a page has them, and the tokens of their captions."""

    def __init__(self, seed: int, tokenizer: PreTrainedTokenizerBase) -> None:
        self.seed, self.tokenizer, self.noise = seed, tokenizer, vocabulary_words()[4:]

    def __call__(self, pool: Pool, number: int) -> Tensors:
        """``images``: uint8 ``(N, 64, 64, 3)``; ``tokens``: int64 ``(N, CAPTIONS, CONTEXT_LENGTH)``."""
        subjects, scenes = pool.truth(number)
        rng = generator(self.seed, "clip", "captions", number)
        texts = [
            training_caption(subject, scene, rng, self.noise)
            for subject, scene in zip(subjects, scenes, strict=True)
            for _ in range(CAPTIONS)
        ]
        found = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=CONTEXT_LENGTH, return_tensors="pt"
        )
        images = np.array(pool.block(number)[0])
        pages = np.arange(len(images)) // 2 % 2 == 1
        images[pages] = page_like(images[pages], generator(self.seed, "clip", "jpeg", number))
        return {"images": torch.from_numpy(images), "tokens": found.input_ids.reshape(len(subjects), CAPTIONS, -1)}


def symmetric_loss(image: torch.Tensor, text: torch.Tensor, tokens: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """CLIP's loss over a batch; a row with the same text as another counts as its match too.

    image, text: ``(N, D)`` of length 1; tokens: ``(N, L)``, the texts themselves.
    """
    same = (tokens[:, None] == tokens[None]).all(-1).float()
    target = same / same.sum(1, keepdim=True)
    with torch.autocast(image.device.type, enabled=False):
        logits = scale.float() * image.float() @ text.float().T
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def train_clip(
    settings: LoopSettings,
    folder: str | Path,
    checkpoint: Path | None = None,
    log: Path | None = None,
    pool: Path | None = None,
    *,
    subjects: int = SUBJECTS_PER_BATCH,
    stream: Stream | None = None,
    judge: Judge | None = None,
) -> None:
    """Train CLIP and write its folder (``open_clip.create_model_from_pretrained('local-dir:FOLDER')``).

    Args:
        pool: folder of rendered pictures that trainers share; None: the pictures are rendered here.
        subjects: of a batch, two views each.
        stream: pictures to draw from; None: ``companion_stream``.
        judge: (folder, seed) -> held-out figures; None: ``evaluate_clip``.
    """
    tokenizer = build_tokenizer(CONTEXT_LENGTH)
    model = new_clip(settings.seed, tokenizer)
    pictures = Companions(settings, pool, TextTargets(settings.seed, tokenizer), 2 * subjects, stream)
    labels = torch.arange(subjects, device=settings.device).repeat_interleave(2)

    def draw(step: int) -> Tensors:
        batch = pictures.draw_subjects("clip", settings.seed, step, subjects, hard=0.4)
        which = torch.from_numpy(generator(settings.seed, "clip", "which", step).integers(0, CAPTIONS, len(labels)))
        batch["tokens"] = batch["tokens"][torch.arange(len(labels)), which]
        return batch

    def loss(batch: Tensors) -> dict[str, torch.Tensor]:
        pixels = augment(to_float(batch["images"]), shift=2, jitter=0.06)
        z = model.encode_image(pixels, normalize=True).float()
        t = model.encode_text(batch["tokens"], normalize=True).float()
        matching = symmetric_loss(z, t, batch["tokens"], model.logit_scale.exp().clamp(max=50))
        identity = supervised_contrastive(z, labels, temperature=0.1)
        return {"loss": matching + IDENTITY_WEIGHT * identity, "matching": matching, "identity": identity}

    spent = train(model, loss, settings, checkpoint, log, draw)
    with atomic_path(folder) as part:
        save_clip(model, tokenizer, part)
    extra = {"subjects_per_batch": subjects, "views": 2, "identity_weight": IDENTITY_WEIGHT}
    evaluate(folder, settings, spent, judge or evaluate_clip, extra)


def save_clip(model: CLIP, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """open_clip's layout: open_clip_config.json, open_clip_model.safetensors, the tokenizer's files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    write_json(
        folder / "open_clip_config.json",
        {"model_cfg": model_config(len(tokenizer)), "preprocess_cfg": PREPROCESS},
    )
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    store_half(folder)


def similarity(z: np.ndarray) -> np.ndarray:
    """Mean pairwise cosine of each row of ``(n, views, D)``, as mining computes it for a page."""
    views = z.shape[1]
    gram = z @ z.transpose(0, 2, 1)
    return (gram.sum((1, 2)) - views) / (views * (views - 1))


@torch.no_grad()
def evaluate_clip(folder: str | Path, seed: int, subjects: int = 192) -> dict[str, Any]:
    """Held-out figures of a CLIP folder, loaded by open_clip as every stage loads it.

    Text retrieval (image to its own prompt among 64), subject retrieval (among 64), and the mean pairwise
    similarity of pages of five pictures: one subject, several subjects, near-duplicates.
    """
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()

    def embed(images: np.ndarray) -> np.ndarray:
        from PIL import Image

        pixels = torch.stack([transform(Image.fromarray(image)) for image in images])
        return F.normalize(model.encode_image(pixels).float(), dim=-1).numpy()

    held = draw_views("held out", "clip", seed, subjects=subjects, views=6, size=64)
    images, people, scenes = held.flat()
    z = embed(page_like(images, generator(seed, "clip", "held out jpeg"), 64))
    texts = [scene_phrase(person, scene) for person, scene in zip(people, scenes, strict=True)]
    t = F.normalize(model.encode_text(tokenizer(texts)).float(), dim=-1).numpy()
    z6 = z.reshape(subjects, 6, -1)
    hits = []
    for start in range(0, len(z) - 63, 64):
        logits = z[start : start + 64] @ t[start : start + 64].T
        names = np.array(texts[start : start + 64])
        hits.append((names[logits.argmax(1)] == names).mean())
    rng = generator(seed, "clip", "pages")
    mixed = z[np.stack([rng.choice(len(z), 5, replace=False) for _ in range(subjects)])]
    still = np.repeat(held.images[:, :1].astype(np.int16), 5, axis=1)
    shots = np.clip(still + rng.normal(0, 3, still.shape).round(), 0, 255).astype(np.uint8).reshape(-1, 64, 64, 3)
    near = embed(page_like(shots, rng, 64)).reshape(subjects, 5, -1)
    pages = {"subject": similarity(z6[:, :5]), "mixed": similarity(mixed), "near_duplicate": similarity(near)}
    matched = (z * t).sum(1)
    shuffled = (z * t[rng.permutation(len(t))]).sum(1)
    return {
        "text_top1_of_64": round(float(np.mean(hits)), 4),
        "subject_top1_of_64": round(
            float(np.mean([retrieval(z6[i : i + 64, :3], z6[i : i + 64, 3:]) for i in range(0, subjects - 63, 64)])),
            4,
        ),
        "text_cosine": {
            "matched": round(float(matched.mean()), 4),
            "shuffled": round(float(shuffled.mean()), 4),
        },
        "page_similarity_percentiles": {
            name: {f"p{q}": round(float(np.percentile(values, q)), 4) for q in (0, 1, 5, 25, 50, 75, 95, 99, 100)}
            for name, values in pages.items()
        },
    }
