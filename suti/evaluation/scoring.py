"""The scorer: scores of pictures under protocols, with the copy check and diversity, of rows of the embedding cache.

`suti evaluate` scores folders by it, beside the row of real pictures, and the workflow its runs (``score_run``). The
formulas are in metrics.py, copies.py and bootstrap.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suti.benchmark.folders import Picture
from suti.evaluation.bootstrap import subject_means, summarise
from suti.evaluation.copies import COPIES, COPY_RULE, SIZE, diversity, mark, nearest, pixel_similarity, thresholds
from suti.evaluation.embedding import THUMBNAILS, Embeddings, Encoding, Place
from suti.evaluation.metrics import KEYS, METRICS, reference_similarity, text_similarity
from suti.evaluation.protocols import MEANS, RULES, Protocol, kind, plain
from suti.io.shard_index import Member, ShardIndex, members_by_subject

REAL, GENERATED = "real", "generated"
EXTRAS = (*COPIES, "diversity")
SUSPICIOUS = "the subject score is above that of real pictures: look for copies of the references"


def encoding(protocol: Protocol, metric: str) -> Encoding:
    """Encoder and preprocessing of a metric."""
    return Encoding(protocol.encoders[metric], protocol.crop(metric))


def copy_metric(protocol: Protocol) -> str | None:
    """The metric whose embeddings serve the copy check and diversity: DINO, else DINOv2, else the first of pictures."""
    metrics = protocol.images()
    by_name = {plain(metric): metric for metric in metrics}
    return by_name.get("dino") or by_name.get("dinov2") or (metrics[0] if metrics else None)


def real_pictures(references: Mapping[str, Sequence[Path]]) -> list[Picture]:
    """The references as pictures to score: the oracle."""
    return [
        Picture(subject, f"photo-{number:02d}", "", 0, path)
        for subject, paths in references.items()
        for number, path in enumerate(paths)
    ]


def one_reference(protocol: Protocol, subject: str, paths: Sequence[Place]) -> Place:
    """The reference that the rules 'one' and 'other' take: the protocol's own, else the first by name."""
    wanted = Path(protocol.chosen.get(subject, "")).stem
    return next((path for path in paths if Path(path.name).stem == wanted), paths[0])


def one_references(protocol: Protocol, references: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """File name of each subject's one reference, where the protocol's rule has one."""
    if protocol.references == "all":
        return {}
    return {subject: one_reference(protocol, subject, paths).name for subject, paths in references.items()}


def unpicked(protocol: Protocol, references: Mapping[str, Sequence[Path]]) -> list[str]:
    """Subjects of whom the protocol's own one reference is not there, so that the first by name stands in for it."""
    if not protocol.chosen:
        return []
    taken = one_references(protocol, references)
    return [name for name, file in taken.items() if Path(file).stem != Path(protocol.chosen.get(name, "")).stem]


def references_of(protocol: Protocol, subject: str, paths: Sequence[Place]) -> list[Place]:
    """The real pictures of a subject that a protocol compares with."""
    if protocol.references == "all":
        return list(paths)
    one = one_reference(protocol, subject, paths)
    return [one] if protocol.references == "one" else [path for path in paths if path != one]


def prepare(
    protocols: Sequence[Protocol],
    pictures: Sequence[Picture],
    references: Mapping[str, Sequence[Path]],
    embeddings: Embeddings,
    copies: bool = True,
) -> tuple[list[Picture], dict[str, list[Path]]]:
    """Embed all that some protocols need, each picture once an encoder; returns what can be used.

    Raises:
        ValueError: a picture cannot be decoded, or no reference of a subject is left.
    """
    drawn: list[Place] = [picture.path for picture in pictures]
    real: list[Place] = [path for paths in references.values() for path in paths]
    wanted: dict[Encoding, list[Place]] = {THUMBNAILS: drawn + real} if copies else {}
    for protocol in protocols:
        for metric in protocol.encoders:
            paths = drawn + real if kind(metric) == "image" else drawn
            wanted[encoding(protocol, metric)] = list(dict.fromkeys(wanted.get(encoding(protocol, metric), []) + paths))
    embeddings.prepare(wanted)
    left = {subject: [p for p in paths if p not in embeddings.bad] for subject, paths in references.items()}
    empty = [subject for subject, paths in left.items() if not paths]
    if empty:
        raise ValueError(f"references of {empty[0]!r}: none can be read; put pictures into its folder")
    return [picture for picture in pictures if picture.path not in embeddings.bad], left


def score_run(
    generations: pd.DataFrame,
    images: ShardIndex,
    references: ShardIndex,
    shown: ShardIndex,
    encoders: Mapping[str, str],
    embeddings: Embeddings,
) -> pd.DataFrame:
    """Table 'image_metrics' of a run of the workflow, in the order of its generations; the probe's columns are empty.

    Args:
        generations: table 'generations'. An empty prompt means a real photo, which has no score of text.
        images: its pictures, by sample_id.
        references: real pictures, with keys ``SUBJECT__NN``; all of a subject's count.
        shown: demonstrations, with such keys, to which pictures are compared as to the references in the search for
            copies.
        encoders: spec by metric; the column of one that is left out stays empty.
        embeddings: exact, so that a subject's numbers do not depend on which others are there, to the last bit.

    Raises:
        ValueError: a picture or a subject's references are missing.
    """
    missing = [key for key in generations["sample_id"] if key not in images]
    if missing:
        raise ValueError(f"sample {missing[0]!r} ({len(missing)} in all) is in the table but not in the image shard")
    real, demonstrations = members_by_subject(references), members_by_subject(shown)
    bare = [subject for subject in generations["subject_id"] if subject not in real]
    if bare:
        raise ValueError(f"subject {bare[0]!r}: no real pictures in the references; prepare the benchmark anew")
    protocol = Protocol("workflow", dict(encoders), source="evaluation.encoders of the configuration")
    pictures = [
        Picture(row.subject_id, row.prompt_id, row.prompt, row.image_index, Member.of(images, row.sample_id))
        for row in generations.itertuples(index=False)
    ]
    own: dict[str, list[Place]] = {}
    for picture in pictures:
        own.setdefault(picture.subject, []).append(picture.path)
    encodings = dict.fromkeys([THUMBNAILS, *(encoding(protocol, metric) for metric in protocol.encoders)])
    groups = [[*paths, *real[subject], *demonstrations.get(subject, [])] for subject, paths in own.items()]
    embeddings.prepare_groups(list(encodings), groups)
    scores = score(protocol, pictures, real, embeddings, shown=demonstrations)
    columns = {name: scores[name].to_numpy() for name in METRICS if name in scores}
    return generations[KEYS].reset_index(drop=True).assign(**dict.fromkeys(METRICS, np.nan)).assign(**columns)


def score(
    protocol: Protocol,
    pictures: Sequence[Picture],
    references: Mapping[str, Sequence[Place]],
    embeddings: Embeddings,
    copies: bool = True,
    shown: Mapping[str, Sequence[Place]] | None = None,
) -> pd.DataFrame:
    """Scores of each picture, in the order given: the protocol's metrics, and what copies and diversity are made of.

    A real picture is not compared with itself, nor with a file of the same bytes. A drawn one is compared with
    all: a drawn picture that equals a reference has a cosine of 1 to it.

    Args:
        shown: by subject, pictures that the search for copies takes beside the references.

    Returns:
        Columns run, sample_id, subject_id, prompt_id, image_index, then float64 scores; nan where there is none.
    """
    frame = pd.DataFrame(
        {
            "run": REAL if not picture.prompt else GENERATED,
            "sample_id": f"{picture.subject}__{picture.prompt_id}__{picture.image_index}",
            "subject_id": picture.subject,
            "prompt_id": picture.prompt_id,
            "image_index": picture.image_index,
        }
        for picture in pictures
    )
    columns = [*protocol.encoders, "nearest_dino", "nearest_pixels", "diversity"]
    values = {column: np.full(len(pictures), np.nan) for column in columns}
    for subject, places in frame.groupby("subject_id", sort=False).indices.items():
        own, more = [pictures[int(i)] for i in places], (shown or {}).get(subject, [])
        found = _score_subject(protocol, subject, own, references[subject], more, embeddings, copies)
        for column, scores in found.items():
            values[column][places] = scores
    return frame.assign(**values)


def _score_subject(
    protocol: Protocol,
    subject: str,
    pictures: Sequence[Picture],
    references: Sequence[Place],
    shown: Sequence[Place],
    embeddings: Embeddings,
    copies: bool,
) -> dict[str, np.ndarray]:
    drawn = [picture.path for picture in pictures]
    used = references_of(protocol, subject, references)
    real = np.array([not picture.prompt for picture in pictures])[:, None]
    keys = np.array([embeddings.key(path) for path in drawn])

    def itself(others: Sequence[Place]) -> np.ndarray:
        return np.equal.outer(keys, np.array([embeddings.key(path) for path in others], dtype=keys.dtype)) & real

    scores: dict[str, np.ndarray] = {}
    for metric in protocol.images():
        if used:
            how = encoding(protocol, metric)
            scores[metric] = reference_similarity(
                embeddings.images(how, drawn), embeddings.images(how, used), itself(used)
            )
    prompted = np.flatnonzero(~real[:, 0]).tolist()
    for metric in protocol.encoders:
        if kind(metric) == "text" and prompted:
            how = encoding(protocol, metric)
            rows = embeddings.images(how, [drawn[i] for i in prompted])
            texts = embeddings.texts(how.spec, [pictures[i].prompt for i in prompted])
            scores[metric] = np.full(len(drawn), np.nan)
            scores[metric][prompted] = text_similarity(rows, texts)
    if not copies:
        return scores
    known = list({embeddings.key(path): path for path in [*references, *shown]}.values())
    measure = copy_metric(protocol)
    if measure:
        rows = embeddings.images(encoding(protocol, measure), drawn)
        others = embeddings.images(encoding(protocol, measure), known)
        scores["nearest_dino"] = nearest(rows @ others.T, itself(known))
        scores["diversity"] = diversity(rows, [picture.prompt_id for picture in pictures])
    small, real_small = _small(embeddings, drawn), _small(embeddings, known)
    scores["nearest_pixels"] = nearest(pixel_similarity(small, real_small), itself(known))
    return scores


def _small(embeddings: Embeddings, paths: Sequence[Place]) -> np.ndarray:
    return embeddings.images(THUMBNAILS, paths).astype(np.float32).reshape(len(paths), SIZE, SIZE, 3)


def entry(summary: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A number as it is written: mean, interval and n, with what it was measured by."""
    ends = None if summary["mean"] is None else [summary["low"], summary["high"]]
    return {**summary, "interval": ends, "n": summary["n_subjects"], **more}


def metric_entries(
    protocol: Protocol, frame: pd.DataFrame, embeddings: Embeddings, bootstrap: int, seed: int
) -> dict[str, dict[str, Any]]:
    """The protocol's numbers over some pictures, each with its interval, n and how it was made."""
    found = summarise(frame, bootstrap, seed, list(protocol.encoders), protocol.aggregate)
    return {
        metric: entry(
            found[metric],
            protocol=protocol.name,
            encoder=spec,
            encoder_digest=embeddings.digest(spec),
            replaced=metric in protocol.replaced,
            preprocessing=protocol.crop(metric),
            references=RULES[protocol.references] if kind(metric) == "image" else "none: cosine of picture and prompt",
            estimate=MEANS[protocol.aggregate],
        )
        for metric, spec in protocol.encoders.items()
    }


def report(
    protocol: Protocol,
    generated: pd.DataFrame,
    real: pd.DataFrame,
    embeddings: Embeddings,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """All numbers of one protocol: of the pictures, of the real ones, copies, diversity, and what looks wrong."""
    metrics = metric_entries(protocol, generated, embeddings, bootstrap, seed)
    oracle = metric_entries(protocol, real, embeddings, bootstrap, seed)
    limits = thresholds(real)
    extras = summarise(mark(generated, limits), bootstrap, seed, EXTRAS, protocol.aggregate)
    oracle_extras = summarise(mark(real, limits), bootstrap, seed, EXTRAS, protocol.aggregate)
    measure = copy_metric(protocol)
    return {
        "source": protocol.source,
        "references": protocol.references,
        "aggregate": protocol.aggregate,
        "replaced": dict(protocol.replaced),
        "metrics": metrics,
        "real": {metric: oracle[metric] for metric in protocol.images()},
        "copies": {
            "rule": COPY_RULE,
            "embeddings": measure,
            "thresholds": limits,
            **{name: entry(extras[name]) for name in COPIES},
            "real": {name: entry(oracle_extras[name]) for name in COPIES},
        },
        "diversity": entry(extras["diversity"], rule=f"mean {measure} distance (1 - cosine) of a prompt's pictures"),
        "suspicious": suspicions(protocol, generated, real, metrics, oracle),
    }


def suspicions(
    protocol: Protocol,
    generated: pd.DataFrame,
    real: pd.DataFrame,
    metrics: Mapping[str, Mapping[str, Any]],
    oracle: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Metrics of pictures whose mean is above the real row's, or that of single subjects is."""
    found = []
    for metric in protocol.images():
        ours, truth = metrics[metric]["mean"], oracle[metric]["mean"]
        if ours is None or truth is None:
            continue
        theirs = subject_means(real, metric)
        above = subject_means(generated, metric).reindex(theirs.index) > theirs
        if ours > truth or above.any():
            found.append(
                {
                    "metric": metric,
                    "mean": ours,
                    "real": truth,
                    "above_real": bool(ours > truth),
                    "subjects_above_real": sorted(above.index[above]),
                    "why": SUSPICIOUS,
                }
            )
    return found
