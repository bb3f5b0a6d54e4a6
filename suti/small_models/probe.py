"""Trains the probe on renders whose truth is known: identity, attributes, realism."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from suti.compute import in_layout, to_device
from suti.io.atomic import atomic_path
from suti.seeds import generator, stable_hash
from suti.small_models.companions import Companions, Tensors, to_float
from suti.small_models.corruptions import corrupt
from suti.small_models.loop import LoopSettings, train
from suti.small_models.pool import Pool, Stream
from suti.small_models.probe_network import (
    ATTRIBUTES,
    Probe,
    load_probe,
    share_confirmed,
    stated_attributes,
    true_attributes,
)
from suti.small_models.records import Judge, evaluate, store_half, write_provenance
from suti.small_models.views import (
    augment,
    balanced_threshold,
    draw_views,
    retrieval,
    seeded,
    supervised_contrastive,
    to_tensor,
)
from suti.world.language import scene_phrase
from suti.world.scenes import Scene
from suti.world.vocabulary import CLASSES, COLOURS, PHOTO, SKETCH

SUBJECTS_PER_BATCH: Final = 64  # a multiple of 4
TEMPERATURE: Final = 0.1
IDENTITY_WEIGHT: Final = 0.5
REALISM_WEIGHT: Final = 2.0
UNKNOWN: Final = -100  # an attribute that a picture does not show
DAMAGE: Final = 0.3  # severity from which people would see damage: where the realism cut stands


def attribute_targets(rows: list[dict[str, str]]) -> Tensor:
    """Index of the true value of each of ATTRIBUTES, int64 ``(N, attributes)``; UNKNOWN where a row has none."""
    index = {name: {value: i for i, value in enumerate(values)} for name, values in ATTRIBUTES.items()}
    return torch.tensor([[index[name][row[name]] if name in row else UNKNOWN for name in ATTRIBUTES] for row in rows])


def look(scene: Scene) -> int:
    """Pictures of a subject show the same identity if they agree in this number: recolouring, or a sketch."""
    if scene.style == SKETCH:
        return len(COLOURS) + 1
    return 0 if scene.recolour is None else 1 + list(COLOURS).index(scene.recolour)


def read_truth(pool: Pool, number: int) -> Tensors:
    """What the probe learns of a block's pictures: attributes and looks."""
    subjects, scenes = pool.truth(number)
    rows = [true_attributes(subject, scene) for subject, scene in zip(subjects, scenes, strict=True)]
    return {"targets": attribute_targets(rows), "looks": torch.tensor([look(scene) for scene in scenes])}


def train_probe(
    settings: LoopSettings,
    folder: str | Path,
    checkpoint: Path | None = None,
    log: Path | None = None,
    fakes: np.ndarray | None = None,
    initial: str | Path | None = None,
    pool: Path | None = None,
    *,
    subjects: int = SUBJECTS_PER_BATCH,
    stream: Stream | None = None,
    choose: Callable[[Probe, int], dict[str, float]] | None = None,
    judge: Judge | None = None,
) -> None:
    """Train the probe and write its folder.

    Args:
        fakes: samples of a base model, uint8 ``(N, 64, 64, 3)``, as further examples of what is not real; ten a batch.
            None: corrupted renders only.
        initial: folder of a probe to go on from; None: new weights.
        pool: folder of rendered pictures that trainers share; None: the pictures are rendered here.
        subjects: of a batch, two views each; a multiple of 4.
        stream: pictures to draw from; None: ``companion_stream``.
        choose: (probe, seed) -> the binary columns' cuts; None: ``choose_thresholds``.
        judge: (folder, seed) -> held-out figures; None: ``evaluate_probe``.
    """
    torch.manual_seed(stable_hash(settings.seed, "probe", "init", bits=56))
    model = Probe() if initial is None else load_probe(initial).requires_grad_(True)
    device = torch.device(settings.device)
    in_layout(to_device(model, device), torch.channels_last)
    pictures = Companions(settings, pool, read_truth, 2 * subjects, stream)
    others = None if fakes is None else torch.from_numpy(np.ascontiguousarray(fakes)).to(device)
    # A continued run draws other batches than the one it goes on from.
    name = "probe" if initial is None else "probe continued"
    half, labels = subjects, torch.arange(subjects, device=device).repeat_interleave(2)

    def draw(step: int) -> Tensors:
        batch = pictures.draw_subjects(name, settings.seed, step, subjects, hard=0.4)
        if others is not None:
            rows = generator(settings.seed, name, "fakes", step).integers(0, len(others), 10)
            batch["fakes"] = others[torch.from_numpy(rows).to(device)]
        return batch

    def loss(batch: Tensors) -> dict[str, Tensor]:
        x = to_float(batch["images"])
        n = len(x)
        real, weight = torch.ones(n, device=device), torch.ones(n, device=device)
        # Of the first half of the subjects one view is corrupted and the other shifted a little; of the third quarter
        # both are corrupted, of the last neither is. The heads learn from all, because generated pictures are never
        # clean; realism not from the shifted ones, because that would itself look like corruption.
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            broken, severity = corrupt(torch.cat([x[:half:2], x[half : half + half // 2]]))
            few = half // 2
            x, real[:half:2], real[half : half + few] = x.clone(), 1 - severity[:few], 1 - severity[few:]
            x[:half:2], x[half : half + few] = broken[:few], broken[few:]
            x[1:half:2] = augment(x[1:half:2], shift=2, jitter=0.06, noise=0.0)
            weight[1:half:2] = 0.0
        if "fakes" in batch:
            x = torch.cat([x, to_float(batch["fakes"])])
        out = model(x.contiguous(memory_format=torch.channels_last))
        identity = supervised_contrastive(out.identity[:n], labels, TEMPERATURE, batch["looks"])
        # Severe corruption hides attributes: those pictures count less.
        visible = real.clamp(min=0.1)
        each = [
            F.cross_entropy(out.logits[key][:n], target, ignore_index=UNKNOWN, reduction="none")
            for key, target in zip(ATTRIBUTES, batch["targets"].T, strict=True)
        ]
        attributes = (torch.stack(each) * visible).mean()
        realism = F.binary_cross_entropy_with_logits(out.realism[:n], real, weight=weight)
        if "fakes" in batch:
            false = out.realism[n:]
            realism = realism + 0.3 * F.binary_cross_entropy_with_logits(false, torch.zeros_like(false))
        total = IDENTITY_WEIGHT * identity + 2 * attributes + REALISM_WEIGHT * realism
        return {"loss": total, "identity": identity, "attributes": attributes, "realism": realism}

    spent = train(model, loss, settings, checkpoint, log, draw)

    def save() -> None:
        with atomic_path(folder) as part:
            model.save_pretrained(part)
            store_half(part)
            write_provenance(part, settings, spent, {}, extra)

    extra = {"base_samples": 0 if fakes is None else len(fakes), "continued": initial is not None}
    in_layout(model, torch.contiguous_format)
    save()  # before anything is judged: a killed process must leave its weights
    model.register_to_config(thresholds=(choose or choose_thresholds)(model, settings.seed))
    to_device(model, "cpu")
    save()
    evaluate(folder, settings, spent, judge or (lambda path, seed: evaluate_probe(load_probe(path), seed)), extra)


def choose_thresholds(probe: Probe, seed: int, subjects: int = 144) -> dict[str, float]:
    """Cuts of the binary columns, on renders of subjects that no other figure uses.

    subject: largest balanced accuracy between the subject's own pictures and another subject of the same
    class, both against four references. text: the whole prompt is confirmed, as a rater who says yes means
    all of it. realism: largest balanced accuracy between renders and renders whose damage people would see.
    """
    own, other = subject_scores(probe, ("thresholds", "probe", seed), subjects)
    cut, _ = balanced_threshold(own, other)
    clean, broken, _ = realism_scores(probe, ("thresholds", "probe", seed, "realism"), subjects * 4, lowest=DAMAGE)
    realism, _ = balanced_threshold(clean, broken)
    return {"subject": round(cut, 4), "text": 0.999, "realism": round(realism, 4)}


def subject_scores(probe: Probe, key: tuple[Any, ...], subjects: int) -> tuple[np.ndarray, np.ndarray]:
    """Subject scores of true pictures against four photos: of the subject, and of another of its class."""
    own, other = [], []
    for name in CLASSES:
        few = max(2, subjects // len(CLASSES))
        shared: dict[str, Any] = {"subjects": few, "class_name": name, "recolour": None, "effect": None}
        references = draw_views(*key, name, "references", views=4, style=PHOTO, **shared)
        # The same key part before "references" makes the same subjects: views of one space.
        views = draw_views(*key, name, "references", views=8, **shared)
        z = probe.look(views.flat()[0]).identity.numpy().reshape(few, 8, -1)[:, 4:]
        means = probe.look(references.flat()[0]).identity.numpy().reshape(few, 4, -1).mean(1)
        scores = np.einsum("nvd,md->nvm", z, means)
        same = np.eye(few, dtype=bool)[:, None].repeat(4, 1)
        own.append(scores[same])
        other.append(scores[~same])
    return np.concatenate(own), np.concatenate(other)


def realism_scores(
    probe: Probe, key: tuple[Any, ...], count: int, lowest: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Realism of true renders, of their corrupted copies, and the severities of the corruption."""
    images = draw_views(*key, subjects=count, views=1).flat()[0]
    with seeded(*key, "corrupt"):
        broken, severity = corrupt(to_tensor(images), lowest=lowest)
    pixels = ((broken + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).numpy()
    return (
        probe.look(images).realism.sigmoid().numpy(),
        probe.look(pixels).realism.sigmoid().numpy(),
        severity.numpy(),
    )


def evaluate_probe(probe: Probe, seed: int, subjects: int = 192) -> dict[str, Any]:
    """Held-out figures: attribute accuracies, identity retrieval, ceilings and floors of the three scores."""
    key = ("held out", "probe", seed)
    views = draw_views(*key, subjects=subjects, views=6)
    images, people, scenes = views.flat()
    seen = probe.look(images)
    found = probe.attributes(seen)
    truth = [true_attributes(person, scene) for person, scene in zip(people, scenes, strict=True)]
    shows = {name: np.array([name in row for row in truth]) for name in ATTRIBUTES}
    right = {
        name: np.array([row.get(name) for row in truth], object)[shows[name]] == found[name][shows[name]]
        for name in ATTRIBUTES
    }
    sketched = np.array([scene.style == SKETCH for scene in scenes])
    shown = np.array([row["accessory"] != "none" for row in truth])
    changed = np.array([row["effect"] != "none" for row in truth])
    z = seen.identity.numpy().reshape(subjects, 6, -1)
    starts = range(0, subjects - 63, 64)
    own, other = subject_scores(probe, (*key, "pairs"), 144)
    same_class = draw_views(*key, "class", subjects=64, views=6, class_name="teapot")
    z_class = probe.look(same_class.flat()[0]).identity.numpy().reshape(64, 6, -1)
    clean, broken, severity = realism_scores(probe, (*key, "realism"), 512, lowest=0.05)
    prompts = [scene_phrase(person, scene) for person, scene in zip(people, scenes, strict=True)]
    rng = generator(*key, "shuffle")
    strangers = [prompts[i] for i in rng.permutation(len(prompts))]
    cuts = probe.thresholds
    text_true = text_scores(found, prompts)
    text_false = text_scores(found, strangers)
    return {
        "attributes": {name: round(float(hit.mean()), 4) for name, hit in right.items()},
        "background_in_sketches": round(float(right["background"][sketched].mean()), 4) if sketched.any() else None,
        "accessory_when_worn": round(float(right["accessory"][shown].mean()), 4),
        "effect_when_there": round(float(right["effect"][changed].mean()), 4),
        "subject_top1_of_64": round(
            float(np.mean([retrieval(z[i : i + 64, :3], z[i : i + 64, 3:]) for i in starts])), 4
        ),
        "subject_top1_of_64_same_class": round(retrieval(z_class[:, :3], z_class[:, 3:]), 4),
        "subject_score": _pair(own, other, cuts["subject"]),
        "text_score": _pair(text_true, text_false, cuts["text"]),
        "realism_score": _pair(clean, broken, cuts["realism"]),
        "realism_by_severity": {
            f"{low:.2f}-{low + 0.25:.2f}": round(float(broken[(severity >= low) & (severity < low + 0.25)].mean()), 4)
            for low in (0.0, 0.25, 0.5, 0.75)
        },
        "thresholds": cuts,
    }


def text_scores(found: dict[str, np.ndarray], prompts: list[str]) -> np.ndarray:
    """Text scores of pictures whose seen attributes are ``found`` against prompts, ``(N,)``."""
    return np.array(
        [
            share_confirmed(stated_attributes(prompt), {name: values[i] for name, values in found.items()})
            for i, prompt in enumerate(prompts)
        ]
    )


def _pair(true: np.ndarray, false: np.ndarray, cut: float) -> dict[str, float]:
    """Ceiling (true pictures), floor (impostors), and how both fare at the cut."""
    return {
        "ceiling": round(float(true.mean()), 4),
        "floor": round(float(false.mean()), 4),
        "ceiling_yes": round(float((true > cut).mean()), 4),
        "floor_yes": round(float((false > cut).mean()), 4),
    }
