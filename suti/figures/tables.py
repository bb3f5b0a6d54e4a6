"""Tables 1 to 3 of the paper with our numbers beside the published ones; ``table_layout`` prints them.

A cell of a system that was not run stays empty; nothing is filled in from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from suti.baselines.systems import SYSTEMS
from suti.evaluation import published
from suti.evaluation.bootstrap import common_pairs, difference, summarise
from suti.evaluation.copies import COPIES, QUANTILE, mark, thresholds
from suti.evaluation.metrics import METRICS, SCORES, SIMILARITIES, SUBJECT_TEXT
from suti.figures.style import METRIC_NAMES

HUMAN = (*SCORES, "overall")
OURS = (*SCORES, SUBJECT_TEXT, "overall")  # the paper does not print the two together
Runs = Mapping[str, pd.DataFrame]
Protocol = Mapping[str, Any]
ON = ("Ours on", [("subjects", "n_subjects", False), ("prompts", "n_prompts", False), ("images", "n_images", False)])


@dataclass(frozen=True)
class Table:
    """A table: ``frame`` holds the numbers (the CSV); ``groups`` the columns to print under each heading.

    A column to print is (subheading, column of the frame, whether it has an interval).
    """

    title: str
    frame: pd.DataFrame
    groups: Sequence[tuple[str, Sequence[tuple[str, str, bool]]]]
    note: str


def _row(method: str, run: str | None, runs: Runs, metrics: Sequence[str], bootstrap: int, seed: int) -> dict:
    row: dict = {"method": method, "run": run if run in runs else None}
    summary = summarise(runs[run], bootstrap, seed, metrics) if run is not None and run in runs else {}
    for metric in metrics:
        values = summary.get(metric, {})
        row |= {
            metric: values.get("mean"),
            f"{metric}_low": values.get("low"),
            f"{metric}_high": values.get("high"),
        }
    frame = runs.get(run) if run else None
    row["n_subjects"] = frame["subject_id"].nunique() if frame is not None else None
    row["n_prompts"] = frame[["subject_id", "prompt_id"]].drop_duplicates().shape[0] if frame is not None else None
    row["n_images"] = len(frame) if frame is not None else None
    return row


def _system(method: str) -> str:
    """Our row for a published method: our DreamBooth stands beside the paper's on Imagen, a pixel base like
    ours."""
    return method.removesuffix(" (Imagen)")


def _systems(suti_run: str) -> dict[str, str]:
    """Run of each row: ours for the paper's rows by their name, then those that the paper does not have."""
    return {"Real images": "real", "SuTI": suti_run} | {entry.title: name for name, entry in SYSTEMS.items()}


def _lines(table: Sequence[Any], runs: Runs, suti_run: str) -> list[tuple[str, str | None, Any]]:
    """Rows (method, our run, published line): the paper's, then what we ran and the paper does not print."""
    systems = _systems(suti_run)
    lines = [(method := _system(line.method), systems.get(method), line) for line in table]
    printed = {method for method, _, _ in lines}
    others = [(method, run, None) for method, run in systems.items() if method not in printed and run in runs]
    return [*lines, *others, ("Base (text only)", "base", None)]


def protocol_of(kind: str, protocol: Protocol, benchmark: str) -> str:
    """How ours of a table were measured, in words, from the 'protocol' of a run's metrics JSON."""
    where = {"world": "the world's benchmark", "dreambench": "DreamBench", "folders": "own photos"}.get(
        benchmark, benchmark
    )
    if kind == "table1":
        names = {"dino": "DINO", "clip_i": "CLIP-I", "clip_t": "CLIP-T"}
        encoders = protocol.get("encoders") or {}
        return "; ".join([where, *(f"{names[m]} {encoders[m]}" for m in names if m in encoders)])
    if not protocol.get("probe"):
        return f"{where}; no judge"
    limits = ", ".join(f"{name} {value:.3g}" for name, value in (protocol.get("thresholds") or {}).items())
    return f"{where}; probe {protocol['probe']} ({limits}); overall: all three, per picture"


def _with_protocols(rows: list[dict], kind: str, protocol: Protocol | None, benchmark: str) -> str:
    """Put both protocols into the rows, ours where there is a number of ours; the sentence for the note."""
    ours, paper = protocol_of(kind, protocol or {}, benchmark), published.PROTOCOLS[kind]
    for row in rows:
        row["protocol"] = ours if row["run"] else None
        row["published_protocol"] = (
            paper if any(row[c] is not None for c in row if c.startswith("published_")) else None
        )
    return f"Protocol, ours: {ours}. Paper: {paper}."


def _frame(rows: list[dict]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    texts = [name for name in ("method", "run", "protocol", "published_protocol") if name in frame]
    counts = [name for name in ("n_subjects", "n_prompts", "n_images") if name in frame]
    numbers = [name for name in frame if name not in texts]
    frame[numbers] = frame[numbers].astype("float64")
    return frame.astype({name: "Int64" for name in counts})


def _ours_and_published(metrics: Sequence[str]) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    return [(METRIC_NAMES[m], [("ours", m, True), ("paper", f"published_{m}", False)]) for m in metrics]


def table1(
    runs: Runs, suti_run: str, bootstrap: int, seed: int, protocol: Protocol | None = None, benchmark: str = "world"
) -> Table:
    """Table 1: DINO, CLIP-I and CLIP-T, each system on all of its pictures.

    Args:
        runs: table 'image_metrics' by run.
        suti_run: the run of the main result, 'suti-{lambda}-k{k}'.
        protocol: of a run's metrics JSON; benchmark: the setting.
    """
    rows = []
    for method, run, line in _lines(published.TABLE_1, runs, suti_run):
        row = _row(method, run, runs, SIMILARITIES, bootstrap, seed)
        rows.append(row | {f"published_{m}": getattr(line, m) if line else None for m in SIMILARITIES})
    groups = [*_ours_and_published(SIMILARITIES), ON]
    note = (
        "Ours: mean over subjects [95 % bootstrap interval over subjects and trainings]. The paper's first DreamBooth "
        f"fine-tunes Imagen, ours our base. {_with_protocols(rows, 'table1', protocol, benchmark)}"
    )
    return Table("Table 1. Similarity to the subject and to the prompt", _frame(rows), groups, note)


def votes(image_metrics: pd.DataFrame, thresholds: Mapping[str, float]) -> pd.DataFrame:
    """'image_metrics' with subject, text and realism as votes: 1 if the score reaches its threshold, else
    0."""
    passed = {
        score: (image_metrics[score] >= thresholds[score]).astype(float).where(image_metrics[score].notna())
        for score in SCORES
        if score in thresholds
    }
    return image_metrics.assign(**passed)


def table2(
    runs: Runs,
    suti_run: str,
    thresholds: Mapping[str, float],
    timings: Mapping[str, Mapping[str, Any]],
    bootstrap: int,
    seed: int,
    protocol: Protocol | None = None,
    benchmark: str = "world",
) -> Table:
    """Table 2: shares of pictures that pass in subject, text, realism and all three, beside the paper's,
    and the space and time.

    Args:
        runs: table 'image_metrics' by run.
        suti_run: the run of the main result.
        thresholds: the probe's, for each of the three scores; empty where there is no probe.
        timings: content of NAME.timing.json by run.
    """
    runs = {run: votes(frame, thresholds) for run, frame in runs.items()}
    rows = [
        _human_row(method, run, line, runs, bootstrap, seed)
        for method, run, line in _lines(published.TABLE_2, runs, suti_run)
    ]
    for row in rows:
        measured = timings.get(row["run"], {}) if row["run"] else {}
        row |= {"seconds": measured.get("seconds_per_subject"), "bytes": measured.get("bytes_per_subject")}
    groups = [
        ("Space a subject", [("ours", "bytes", False)]),
        ("Seconds a subject", [("ours", "seconds", False), ("paper", "published_seconds", False)]),
        *_ours_and_published(HUMAN),
        (METRIC_NAMES[SUBJECT_TEXT], [("ours", SUBJECT_TEXT, True)]),
        ON,
    ]
    note = (
        "Ours: share of pictures that pass the probe's thresholds [95 % bootstrap interval over subjects and "
        "trainings]; the probe knows the world's truth and replaces the raters. Space: what must be kept of a subject "
        "to draw it again, float16. Seconds: preparation of a subject and 4 pictures. "
        f"{_with_protocols(rows, 'table2', protocol, benchmark)}"
    )
    return Table("Table 2. Subject, text and realism", _frame(rows), groups, note)


def table3(
    runs: Runs, suti_run: str, thresholds: Mapping[str, float], bootstrap: int, seed: int,
    protocol: Protocol | None = None, benchmark: str = "world",
) -> Table:  # fmt: skip
    """Table 3: DreamBooth, SuTI and Dream-SuTI on the pictures' prompts that all of them have."""
    systems = _systems(suti_run)
    chosen = [(method := _system(line.method), systems[method], line) for line in published.TABLE_3]
    shared = common_pairs({run: votes(runs[run], thresholds) for _, run, _ in chosen if run in runs})
    rows = [_human_row(method, run, line, shared, bootstrap, seed) for method, run, line in chosen]
    for row in rows:
        del row["published_seconds"]
    groups = [*_ours_and_published(HUMAN), (METRIC_NAMES[SUBJECT_TEXT], [("ours", SUBJECT_TEXT, True)]), ON]
    note = (
        "Ours: share of pictures that pass the probe's thresholds [95 % interval], on the prompts that all three "
        f"systems drew. {_with_protocols(rows, 'table3', protocol, benchmark)}"
    )
    return Table("Table 3. Fine-tuning the apprentice on one subject", _frame(rows), groups, note)


def _human_row(
    method: str, run: str | None, line: published.Human | None, runs: Runs, bootstrap: int, seed: int
) -> dict:
    row = _row(method, run, runs, OURS, bootstrap, seed)
    row |= {f"published_{m}": getattr(line, m) if line else None for m in ("seconds", *HUMAN)}
    return row


def differences(runs: Runs, suti_run: str, suti_without: str, bootstrap: int, seed: int) -> Table:
    """Paired differences between systems, on the prompts that both drew, with intervals over subjects."""
    pairs = [
        ("SuTI - base", suti_run, "base"),
        ("SuTI - SuTI without demonstrations", suti_run, suti_without),
        *((f"SuTI - {entry.title}", suti_run, name) for name, entry in SYSTEMS.items() if name != "dream-suti"),
        ("Dream-SuTI - SuTI", "dream-suti", suti_run),
        ("real images - SuTI", "real", suti_run),
    ]
    rows = []
    for name, first, second in pairs:
        if first not in runs or second not in runs or not _overlap(runs[first], runs[second]):
            continue
        row: dict = {"method": name, "run": f"{first} - {second}"}
        values = difference(runs[first], runs[second], bootstrap, seed)
        for metric in METRICS:
            row |= {
                metric: values[metric]["mean"],
                f"{metric}_low": values[metric]["low"],
                f"{metric}_high": values[metric]["high"],
            }
        shared = common_pairs({"first": runs[first], "second": runs[second]})["first"]
        rows.append(row | {"n_subjects": shared["subject_id"].nunique(), "n_images": len(shared)})
    groups = [(METRIC_NAMES[m], [("", m, True)]) for m in (*OURS, *SIMILARITIES)]
    groups.append(("On", [("subjects", "n_subjects", False), ("images", "n_images", False)]))
    note = (
        "Mean difference on the same subjects and prompts [95 % bootstrap interval over subjects and trainings]; an "
        "interval without 0 is a difference."
    )
    columns = [
        "method",
        "run",
        *[m + end for m in METRICS for end in ("", "_low", "_high")],
        "n_subjects",
        "n_images",
    ]
    frame = _frame(rows) if rows else pd.DataFrame(columns=columns)
    return Table("Paired differences between systems", frame, groups, note)


def copies(runs: Runs, suti_run: str, bootstrap: int, seed: int) -> Table:
    """Shares of copies and diversity of each system, beside the real pictures' (``suti.evaluation.copies``).

    The last row is the distance between real pictures of a subject in different scenes: 1 less their DINO score.
    Without the run 'real' there is no threshold, and no share.
    """
    limits = thresholds(runs["real"]) if "real" in runs else {}
    marked = {run: mark(frame, limits) for run, frame in runs.items()}
    scenes = "Real images, any two scenes"
    if "real" in runs:
        blank = {column: np.nan for column in (*COPIES, *COPIES.values())}
        marked[scenes] = marked["real"].assign(diversity=1 - marked["real"]["dino"].astype(float), **blank)
    systems = {
        "Real images": "real", "Base (text only)": "base", "SuTI": suti_run,
        **{entry.title: name for name, entry in SYSTEMS.items()}, scenes: scenes,
    }  # fmt: skip
    metrics = (*COPIES, *COPIES.values(), "diversity")
    rows = [
        _row(method, run, marked, metrics, bootstrap, seed) | {f"threshold_{name}": limits.get(name) for name in COPIES}
        for method, run in systems.items()
        if run in marked
    ]
    groups = [
        ("Share of copies", [("DINO", "copies_dino", True), ("pixels", "copies_pixels", True)]),
        ("Nearest known picture", [("DINO", "nearest_dino", True), ("pixels", "nearest_pixels", True)]),
        ("Diversity", [("DINO distance", "diversity", True)]),
        ("On", [("subjects", "n_subjects", False), ("images", "n_images", False)]),
    ]
    names = {"copies_dino": "DINO", "copies_pixels": "pixels"}
    limit = ", ".join(f"{names[name]} {value:.3f}" for name, value in limits.items())
    note = (
        f"A copy: more similar to a demonstration or reference of its subject than {100 * QUANTILE:g} % of the real "
        f"pictures are to the others of theirs ({limit or 'no real pictures'}), so the real pictures' share is about "
        f"{100 * (1 - QUANTILE):.0f} % by construction. Diversity: mean distance between pictures of one prompt; the "
        "last row is between real pictures of a subject in different scenes, which is more. [95 % bootstrap "
        "interval over subjects]"
    )
    return Table("Copies and diversity", _frame(rows), groups, note)


def _overlap(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    keys = ["subject_id", "prompt_id", "image_index"]
    return len(first.merge(second, on=keys, how="inner")) > 0
