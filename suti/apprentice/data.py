"""What a step of the apprentice's training sees: subjects of G, drawn by the step's number alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from suti.config.schema import Apprentice
from suti.language.text import named_by_class
from suti.models.pipeline import to_tensor
from suti.seeds import generator, stable_hash


@dataclass(frozen=True)
class Subject:
    """One subject of G: demonstrations and targets as (picture's key, text), its description and its class noun.

    Without experts there are two other kinds (docs/baselines.md): of a cluster the targets are the demonstrations, the
    same tuple; of Re-Imagen the one target is a picture of a cluster, and the demonstrations are neighbours of it.

    Attributes:
        shown_names: description and class noun of each demonstration, where they are of other subjects; else empty.
    """

    subject_id: str
    demonstrations: tuple[tuple[str, str], ...]
    targets: tuple[tuple[str, str], ...]
    description: str = ""
    class_name: str = ""
    shown_names: tuple[tuple[str, str], ...] = ()

    def name_shown(self, number: int) -> tuple[str, str]:
        """Description and class noun of what demonstration ``number`` shows."""
        return self.shown_names[number] if self.shown_names else (self.description, self.class_name)


@dataclass
class Batch:
    """A step's data, or a part of them; S subjects, T targets and k demonstrations each, subject-major.

    Attributes:
        targets: ``(S T, 3, H, W)`` in [-1, 1]; prompts: S T texts, '' where dropped.
        demonstrations: ``(S k, 3, H, W)``; texts: S k.
        present: ``(S T,)`` of 0 and 1, 0 where a target's demonstrations are dropped.
        k: demonstrations a subject.
        first: row of the whole step at which this part begins.
        total: rows of the whole step, those of all processes.
        target_keys: S T names of the targets' pictures; shown_keys: S k of the demonstrations'.
    """

    targets: torch.Tensor
    prompts: list[str]
    demonstrations: torch.Tensor
    texts: list[str]
    present: torch.Tensor
    k: int
    first: int
    total: int
    target_keys: list[str] = field(default_factory=list)
    shown_keys: list[str] = field(default_factory=list)

    def split(self, parts: int) -> list[Batch]:
        """Micro-batches of whole subjects, as even as can be."""
        if parts == 1:
            return [self]
        subjects = len(self.texts) // self.k
        rows, found = len(self.prompts) // subjects, []
        for number in range(parts):
            own = share_of(subjects, number, parts)
            t, d = slice(own.start * rows, own.stop * rows), slice(own.start * self.k, own.stop * self.k)
            found.append(
                Batch(self.targets[t], self.prompts[t], self.demonstrations[d], self.texts[d], self.present[t],
                      self.k, self.first + t.start, self.total, self.target_keys[t], self.shown_keys[d])
            )  # fmt: skip
        return found


def share_of(count: int, number: int, parts: int) -> range:
    """Places in [0, count) that part ``number`` of ``parts`` takes: neighbours, as even as can be."""
    return range(count * number // parts, count * (number + 1) // parts)


def sample_weights(subjects: Sequence[Subject]) -> np.ndarray:
    """Probability of each subject ``(n,)``: in proportion to its samples in G."""
    weights = np.array([len(s.targets) for s in subjects], dtype=np.float64)
    return weights / weights.sum()


def draw_pictures(subject: Subject, k: int, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which k demonstrations and which targets of a subject a step takes: places in the lists, ``(k,)``, ``(rows,)``.

    Where the targets are the demonstrations themselves (clusters), no picture is both: of a small cluster all but one
    are shown, some of them twice, and the one is every row's target.
    """
    count, available = len(subject.demonstrations), len(subject.targets)
    if subject.targets == subject.demonstrations:
        order = rng.permutation(count)
        shown, rest = order[: min(k, count - 1)], order[min(k, count - 1) :]
        return np.resize(shown, k), rng.choice(rest, rows, replace=len(rest) < rows)
    return rng.choice(count, k, replace=count < k), rng.choice(available, rows, replace=available < rows)


def make_batch(
    subjects: Sequence[Subject],
    target_picture: Callable[[str], np.ndarray],
    demonstration_picture: Callable[[str], np.ndarray],
    settings: Apprentice,
    size: int,
    seed: int,
    step: int,
    process: tuple[int, int] = (0, 1),
    weights: np.ndarray | None = None,
) -> Batch:
    """Data of a step, keyed by (seed, step): a resumed run sees what it would have seen.

    Subjects are drawn in proportion to their samples in G, so every sample of G is as likely as another.

    Args:
        size: side of the pictures, pixels.
        process: (rank, processes). All make the same draws; each loads only the pictures of its own subjects.
        weights: what ``sample_weights`` gives, where it is known already.
    """
    rng = generator(seed, "apprentice", "batch", step)
    chosen = rng.choice(
        len(subjects), settings.subjects_per_batch, replace=len(subjects) < settings.subjects_per_batch,
        p=sample_weights(subjects) if weights is None else weights,
    )  # fmt: skip
    own = share_of(len(chosen), *process)
    k, rows = settings.demonstrations, settings.targets_per_subject
    targets, prompts, shown, texts, present = [], [], [], [], []
    target_keys, shown_keys = [], []
    for place, number in enumerate(chosen):
        subject = subjects[number]
        demonstrations, chosen_targets = draw_pictures(subject, k, rows, rng)
        drawn = [(i, rng.random()) for i in chosen_targets]
        # One draw for demonstrations and targets alike: in use both name the subject, or both name its class.
        name = named_by_class if rng.random() < settings.class_noun_share else by_description
        if place not in own:
            continue
        for i in demonstrations:
            key, text = subject.demonstrations[i]
            shown.append(to_tensor(demonstration_picture(key), size))
            shown_keys.append(key)
            texts.append(name(text, *subject.name_shown(i)))
        for i, draw in drawn:
            key, prompt = subject.targets[i]
            targets.append(to_tensor(target_picture(key), size))
            target_keys.append(key)
            drop_text, drop_demonstrations = dropped(draw, settings)
            prompts.append("" if drop_text else name(prompt, subject.description, subject.class_name))
            present.append(0.0 if drop_demonstrations else 1.0)
    return Batch(
        torch.stack(targets), prompts, torch.stack(shown), texts, torch.tensor(present), k,
        first=own.start * rows, total=len(chosen) * rows, target_keys=target_keys, shown_keys=shown_keys,
    )  # fmt: skip


def by_description(text: str, description: str, class_name: str) -> str:
    """A text as the language stage wrote it, with the subject's description."""
    return text


def dropped(draw: float, settings: Apprentice) -> tuple[bool, bool]:
    """Whether a target loses its text and its demonstrations, of one uniform draw in [0, 1)."""
    both = draw < settings.drop_both
    text = both or draw < settings.drop_both + settings.drop_text
    start = settings.drop_both + settings.drop_text
    return text, both or start <= draw < start + settings.drop_demonstrations


def hold_out(subjects: Sequence[Subject], share: float, seed: int) -> tuple[list[Subject], list[Subject]]:
    """Subjects to train on, and subjects kept for validation: ``share`` of all, at least one if it is not 0.

    Who is kept depends on a hash of the subject, so G at another lambda keeps nearly the same ones. Entries of one
    subject stay together.
    """
    names = {s.subject_id: stable_hash(seed, "apprentice", "held out", s.subject_id) for s in subjects}
    if not share or not names:
        return list(subjects), []
    count = min(len(names) - 1, max(1, round(share * len(names))))
    kept = set(sorted(names, key=names.__getitem__)[:count])
    held_out = sorted((s for s in subjects if s.subject_id in kept), key=lambda s: names[s.subject_id])
    return [s for s in subjects if s.subject_id not in kept], held_out
