"""Trains the probe on renders whose truth is known: identity, attributes, realism."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from suti.compute import to_device
from suti.io.atomic import atomic_path
from suti.seeds import generator, stable_hash
from suti.small_models.corruptions import corrupt
from suti.small_models.loop import LoopSettings, train
from suti.small_models.probe_network import (
    ATTRIBUTES,
    Probe,
    load_probe,
    share_confirmed,
    stated_attributes,
    true_attributes,
)
from suti.small_models.records import store_half, write_provenance
from suti.small_models.views import (
    Pools,
    Views,
    augment,
    balanced_threshold,
    draw_views,
    pick_subjects,
    retrieval,
    supervised_contrastive,
    to_tensor,
)
from suti.world.language import scene_phrase
from suti.world.vocabulary import CLASSES, PHOTO

SUBJECTS_PER_BATCH: Final = 64
VIEWS: Final = 2
POOL_SUBJECTS: Final = 512
STEPS_PER_POOL: Final = 20
TEMPERATURE: Final = 0.1
IDENTITY_WEIGHT: Final = 0.5
REALISM_WEIGHT: Final = 2.0
# What a scene may lack is drawn more often than in the corpus, or the heads would learn to say "none".
SCENES: Final[dict[str, Any]] = {"p_accessory": 0.6, "p_style": 0.3, "p_recolour": 0.2, "p_effect": 0.3}
CORRUPTED: Final = 64  # pictures of a batch that are shown corrupted to the realism head


def attribute_targets(rows: list[dict[str, str]]) -> dict[str, Tensor]:
    """Index of the true value, attribute -> int64 ``(N,)``."""
    return {name: torch.tensor([values.index(row[name]) for row in rows]) for name, values in ATTRIBUTES.items()}


def train_probe(
    settings: LoopSettings,
    folder: str | Path,
    checkpoint: Path | None = None,
    log: Path | None = None,
    fakes: np.ndarray | None = None,
    initial: str | Path | None = None,
) -> None:
    """Train the probe and write its folder.

    ``fakes``: samples of a base model, uint8 ``(N, 32, 32, 3)``, as further examples of what is not real; a
    sixth of the corrupted pictures is taken from them. None: corrupted renders only. ``initial``: folder of a
    probe to go on from, on other renders. None: new weights.
    """
    torch.manual_seed(stable_hash(settings.seed, "probe", "init", bits=56))
    model = Probe() if initial is None else load_probe(initial).requires_grad_(True)
    torch.nn.Module.to(model, memory_format=torch.channels_last)
    pools = Pools(
        lambda number: draw_views(
            "probe",
            settings.seed,
            "new" if initial is None else "continued",
            number,
            subjects=POOL_SUBJECTS,
            views=VIEWS,
            **SCENES,
        ),
        STEPS_PER_POOL,
    )
    labels = torch.arange(SUBJECTS_PER_BATCH).repeat_interleave(VIEWS)
    device = settings.device

    def loss(step: int) -> dict[str, Tensor]:
        pool: Views = pools.at(step)
        rng = generator(settings.seed, "probe", "batch", step)
        rows = pick_subjects(rng, pool.classes, SUBJECTS_PER_BATCH, hard=0.5)
        clean = to_tensor(pool.images[rows].reshape(-1, 32, 32, 3))
        truth = attribute_targets([true_attributes(pool.subjects[i], scene) for i in rows for scene in pool.scenes[i]])
        # Realism is judged on pictures as they are: augmentation would itself look like corruption. The
        # other heads also learn from the corrupted pictures, because generated ones are never clean.
        chosen = rng.permutation(len(clean))
        broken, severity = corrupt(clean[chosen[:CORRUPTED]], rng)
        if fakes is not None:
            count = max(1, CORRUPTED // 6)
            false = to_tensor(fakes[rng.integers(0, len(fakes), count)])
        x = clean.clone()
        x[chosen[:CORRUPTED]] = broken
        plain = chosen[CORRUPTED + (len(clean) - CORRUPTED) // 2 :]
        x[plain] = augment(clean[plain], rng, shift=1, jitter=0.06, noise=0.0)
        real = torch.ones(len(clean))
        real[chosen[:CORRUPTED]] = 1 - severity
        weight = torch.ones(len(clean))
        weight[plain] = 0.0
        if fakes is not None:
            x = torch.cat([x, false])
        out = model(x.to(device, memory_format=torch.channels_last))
        n = len(clean)
        identity = supervised_contrastive(out.identity[:n], labels.to(device), TEMPERATURE)
        # Severe corruption hides attributes: those pictures count less.
        visible = real.to(device).clamp(min=0.1)
        attributes = torch.zeros((), device=device)
        for name, target in truth.items():
            wrong = F.cross_entropy(out.logits[name][:n], target.to(device), reduction="none")
            attributes = attributes + (wrong * visible).mean()
        realism = F.binary_cross_entropy_with_logits(out.realism[:n], real.to(device), weight=weight.to(device))
        if fakes is not None:
            realism = realism + 0.3 * F.binary_cross_entropy_with_logits(
                out.realism[n:], torch.zeros(len(false)).to(device)
            )
        total = IDENTITY_WEIGHT * identity + attributes / len(ATTRIBUTES) * 2 + REALISM_WEIGHT * realism
        return {
            "loss": total,
            "identity": identity.detach(),
            "attributes": attributes.detach() / len(ATTRIBUTES),
            "realism": realism.detach(),
        }

    seconds = train(model, loss, settings, checkpoint, log)
    torch.nn.Module.to(to_device(model, "cpu"), memory_format=torch.contiguous_format)
    thresholds = choose_thresholds(model, settings.seed)
    model.register_to_config(thresholds=thresholds)
    with atomic_path(folder) as part:
        model.save_pretrained(part)
        store_half(part)
        held_out = evaluate_probe(load_probe(part), settings.seed)
        write_provenance(
            part,
            settings,
            seconds,
            held_out,
            {"base_samples": 0 if fakes is None else len(fakes), "continued": initial is not None},
        )


def choose_thresholds(probe: Probe, seed: int, subjects: int = 240) -> dict[str, float]:
    """Cuts of the binary columns, on renders of subjects that no other figure uses.

    subject: largest balanced accuracy between the subject's own pictures and another subject of the same
    class, both against four references. text: the whole prompt is confirmed, as a rater who says yes means
    all of it. realism: largest balanced accuracy between renders and renders corrupted at .15 and above.
    """
    own, other = subject_scores(probe, ("thresholds", "probe", seed), subjects)
    cut, _ = balanced_threshold(own, other)
    clean, broken, _ = realism_scores(probe, ("thresholds", "probe", seed, "realism"), subjects * 2, lowest=0.15)
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
    broken, severity = corrupt(to_tensor(images), generator(*key, "corrupt"), lowest=lowest)
    pixels = ((broken + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).numpy()
    return (
        probe.look(images).realism.sigmoid().numpy(),
        probe.look(pixels).realism.sigmoid().numpy(),
        severity.numpy(),
    )


def evaluate_probe(probe: Probe, seed: int, subjects: int = 256) -> dict[str, Any]:
    """Held-out figures: attribute accuracies, identity retrieval, ceilings and floors of the three scores."""
    key = ("held out", "probe", seed)
    views = draw_views(*key, subjects=subjects, views=6)
    images, people, scenes = views.flat()
    seen = probe.look(images)
    found = probe.attributes(seen)
    truth = [true_attributes(person, scene) for person, scene in zip(people, scenes, strict=True)]
    right = {name: np.array([row[name] for row in truth]) == found[name] for name in ATTRIBUTES}
    shown = np.array([row["accessory"] != "none" for row in truth])
    changed = np.array([row["effect"] != "none" for row in truth])
    z = seen.identity.numpy().reshape(subjects, 6, -1)
    starts = range(0, subjects - 63, 64)
    own, other = subject_scores(probe, (*key, "pairs"), 240)
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
