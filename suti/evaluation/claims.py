"""The paper's claims, each decided by one rule from the metrics, the sets G and the seconds of one run.

``CLAIMS`` is the list; ``judge`` applies it. Differences are paired: the same subjects, prompts and picture numbers,
with 95 % bootstrap intervals over subjects and trainings (``suti.evaluation.bootstrap``). What was not run or not
measured leaves a claim undecided (``holds`` is None) and says why. The true pictures' own scores stand beside as the
ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from suti.benchmark.prompts import requests_of
from suti.evaluation.bootstrap import LEVEL, PAIR, interval, resamples, subject_means, summarise, trainings
from suti.evaluation.copies import COPIES, COPY_RULE, mark, thresholds
from suti.evaluation.evidence import Claim, Estimate, Evidence, Finding, NotMeasured, ceiling, mean, measured
from suti.evaluation.metrics import SUBJECT_TEXT
from suti.runs import numbers_of_demonstrations

NEAR = 0.02  # by how much SuTI's subject score may lie below DreamBooth's
TEXT = 0.05  # by how much its text score may lie below the base's
FASTER = 20  # times faster than DreamBooth
MORE_COPIES = 0.02  # by how much its share of copies may exceed the real pictures'
LESS_DIVERSE = 0.5  # of the real pictures' diversity that its own must reach
PREPARATION = ("optimisation_seconds", "encoding_seconds")  # of a subject, before drawing
LOOKS = {"subject": "probe", "dino": "DINO"}  # the two judges of a subject: probe and DINO


def judge(evidence: Evidence) -> list[dict[str, Any]]:
    """All claims, in the order of ``CLAIMS``: number, name, statement, rule, holds (True, False, or None), reason (why
    it is None), ours, figures, interval {name: [low, high]}, n_subjects, n_prompts (a subject), n_images (of SuTI's).
    """
    entries: list[dict[str, Any]] = []
    for claim in CLAIMS:
        chosen, prompts = evidence.on(claim.on)
        entry: dict[str, Any] = {name: getattr(claim, name) for name in ("number", "name", "statement", "rule")}
        entry["prompts"] = prompts
        try:
            found = claim.decide(chosen)
        except NotMeasured as missing:
            nothing: dict[str, Any] = {"holds": None, "reason": str(missing), "ours": "", "figures": {}, "interval": {}}
            entries.append(entry | nothing | dict.fromkeys(("n_subjects", "n_prompts", "n_images", "n_trainings")))
            continue
        pairs = found.frame[["subject_id", "prompt_id"]].drop_duplicates()
        truth = ceiling(chosen.runs.get("real"), found)
        scores = ", ".join(f"{_words(name)} {value:.3f}" for name, value in truth.items())
        said = f"; true pictures {scores}" if scores else ""
        entry |= {
            "holds": bool(found.holds),
            "reason": None,
            "ours": found.ours + said,
            "figures": _rounded(found.figures | ({"truth": truth} if truth else {})),
            "interval": {name: _rounded([e.low, e.high]) for name, e in found.intervals.items()},
            "n_subjects": int(pairs["subject_id"].nunique()),
            "n_prompts": int(pairs.groupby("subject_id").size().max()),
            "n_images": len(found.frame),
            "n_trainings": len(trainings(found.frame)),
        }
        entries.append(entry)
    return entries


def _words(metric: str) -> str:
    """A metric as sentences name it."""
    return "subject and text" if metric == SUBJECT_TEXT else metric


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(float(value), 6) if isinstance(value, float | np.floating) else value


def subject_above_base(e: Evidence) -> Finding:
    """Claim 1: SuTI minus base, against half of what DreamBooth gains."""
    frames = e.shared(e.suti_run, "base", "dreambooth")
    suti, base, dreambooth = frames.values()
    figures: dict[str, Any] = {}
    intervals, words, holds = {}, [], True
    for m in measured(frames, list(LOOKS), 1):
        change = e.change(suti, base, m)
        gap = mean(dreambooth, m) - mean(base, m)
        needed = max(0.0, gap / 2)
        holds &= change.low > needed
        figures[m] = {"suti": mean(suti, m), "base": mean(base, m), "dreambooth": mean(dreambooth, m)}
        figures[m] |= {"difference": change.mean, "needed": needed}
        intervals[m] = change
        words.append(f"{LOOKS[m]}: {mean(suti, m):.3f}, base {mean(base, m):.3f}, {change}, needed {needed:.3f}")
    return Finding(holds, "; ".join(words), figures, intervals, suti)


def subject_near_dreambooth(e: Evidence) -> Finding:
    """Claim 1b: SuTI minus DreamBooth."""
    frames = e.shared(e.suti_run, "dreambooth")
    suti, dreambooth = frames.values()
    figures: dict[str, Any] = {}
    intervals, words, holds = {}, [], True
    for m in measured(frames, list(LOOKS), 1):
        change = intervals[m] = e.change(suti, dreambooth, m)
        holds &= change.mean >= -NEAR
        figures[m] = {"suti": mean(suti, m), "dreambooth": mean(dreambooth, m), "difference": change.mean}
        words.append(f"{LOOKS[m]}: {mean(suti, m):.3f}, DreamBooth {mean(dreambooth, m):.3f}, {change}")
    figures["dreambooth_steps"] = e.timings.get("dreambooth", {}).get("optimisation_steps")
    return Finding(holds, "; ".join(words), figures, intervals, suti)


def text_kept(e: Evidence) -> Finding:
    """Claim 1c: text score, SuTI minus base."""
    frames = e.shared(e.suti_run, "base")
    measured(frames, ["text"], 1)
    suti, base = frames.values()
    change = e.change(suti, base, "text")
    figures = {"suti": mean(suti, "text"), "base": mean(base, "text"), "difference": change.mean}
    ours = f"text {figures['suti']:.3f}, base {figures['base']:.3f}, {change}"
    return Finding(change.mean >= -TEXT, ours, figures, {"text": change}, suti)


def rises_with_lambda(e: Evidence) -> Finding:
    """Claim 2: the best lambda minus none, and the sizes of G."""
    grid = sorted(e.filtered, key=lambda report: -np.inf if report["threshold"] is None else report["threshold"])
    lambdas = [report["lambda"] for report in grid]
    if "none" not in lambdas or len(lambdas) < 2:
        raise NotMeasured(f"the grid of lambdas {lambdas} lacks none, or anything beside it")
    frames = dict(zip(lambdas, e.shared(*(str(e.suti.at(lam=lam)) for lam in lambdas)).values(), strict=True))
    measured(frames, ["overall"], 1)
    means = {lam: mean(frame, "overall") for lam, frame in frames.items()}
    best = max((lam for lam in lambdas if lam != "none"), key=means.__getitem__)
    change = e.change(frames[best], frames["none"], "overall")
    # The best of several is high by chance too; the deciding interval allows for the choice (Bonferroni).
    tail = LEVEL[0] / (len(lambdas) - 1)
    chosen = e.change(frames[best], frames["none"], "overall", (tail, 100 - tail))
    kept = [report["kept"] for report in grid]
    falling = all(after < before for before, after in pairwise(kept))
    figures = {"overall": means, "kept": dict(zip(lambdas, kept, strict=True)), "best": best}
    figures |= {"difference": change.mean, "kept_falls": falling}
    values = ", ".join(f"{lam} {means[lam]:.3f} (|G| {n:,})" for lam, n in zip(lambdas, kept, strict=True))
    ours = f"overall {values}; {best} - none {change}, allowing for the choice [{chosen.low:+.3f}, {chosen.high:+.3f}]"
    intervals = {"overall": change, "overall_allowing_for_the_choice": chosen}
    return Finding(chosen.low > 0 and falling, ours, figures, intervals, frames[best])


def rises_with_demonstrations(e: Evidence) -> Finding:
    """Claim 3: the most demonstrations minus one, and the last increment against the first."""
    ks = [k for k in numbers_of_demonstrations(str(e.suti.lam), e.runs) if k > 0]
    if len(ks) < 3:
        raise NotMeasured(f"numbers of demonstrations {ks}: needs three or more, one among them")
    shared = e.shared(*(str(e.suti.at(demonstrations=k)) for k in ks))
    measured(shared, ["overall", "subject"], 2)
    frames = dict(zip(ks, shared.values(), strict=True))
    figures: dict[str, Any] = {}
    intervals, words, holds = {}, [], True
    for m in ("overall", "subject"):
        means = [mean(frames[k], m) for k in ks]
        change = intervals[m] = e.change(frames[ks[-1]], frames[ks[0]], m)
        first, last = means[1] - means[0], means[-1] - means[-2]
        holds &= change.low > 0 and last < first
        rank = pd.DataFrame({"k": ks, "mean": means}).rank().corr().loc["k", "mean"]
        figures[m] = {str(k): mean for k, mean in zip(ks, means, strict=True)}
        figures[m] |= {"difference": change.mean, "first_increment": first, "last_increment": last}
        figures[m]["rank_correlation"] = None if np.isnan(rank) else float(rank)
        values = " ".join(f"{mean:.3f}" for mean in means)
        words.append(f"{m} {values} for {ks[0]} to {ks[-1]}, {change}, first step {first:+.3f}, last step {last:+.3f}")
    return Finding(holds, "; ".join(words), figures, intervals, frames[ks[-1]])


def dream_suti_above_suti(e: Evidence) -> Finding:
    """Claim 4: overall score, Dream-SuTI minus SuTI of the training that Dream-SuTI starts from."""
    frames = e.shared("dream-suti", e.suti_run)
    measured(frames, ["overall"], 1)
    dream, suti = frames["dream-suti"], trainings(frames[e.suti_run])[0]
    change = e.change(dream, suti, "overall")
    figures = {"dream_suti": mean(dream, "overall"), "suti": mean(suti, "overall"), "difference": change.mean}
    ours = f"overall {figures['dream_suti']:.3f}, SuTI {figures['suti']:.3f}, {change}"
    intervals = {"overall": change}
    # Dream-SuTI draws with one demonstration: what fine-tuning adds shows beside SuTI with one. It decides nothing.
    one = str(e.suti.at(demonstrations=1))
    if one in e.runs and one != e.suti_run:
        tuned, plain = (trainings(frame)[0] for frame in e.shared("dream-suti", one).values())
        alone = intervals["overall_same_demonstrations"] = e.change(tuned, plain, "overall")
        figures |= {"suti_one_demonstration": mean(plain, "overall"), "difference_same_demonstrations": alone.mean}
        ours += f"; SuTI with one demonstration too {mean(plain, 'overall'):.3f}, {alone}"
    return Finding(change.low > 0, ours, figures, intervals, suti)


def above_re_imagen(e: Evidence) -> Finding:
    """Claim 7: overall score, SuTI minus Re-Imagen."""
    frames = e.shared(e.suti_run, "re-imagen")
    measured(frames, ["overall"], 1)
    suti, other = frames.values()
    intervals = {m: e.change(suti, other, m) for m in measured(frames, ["overall", "subject", "text"], 1)}
    figures = {
        m: {"suti": mean(suti, m), "re_imagen": mean(other, m), "difference": intervals[m].mean} for m in intervals
    }
    words = [f"{m} {mean(suti, m):.3f}, Re-Imagen {mean(other, m):.3f}, {intervals[m]}" for m in intervals]
    return Finding(intervals["overall"].low > 0, "; ".join(words), figures, intervals, suti)


def above_experts(e: Evidence) -> Finding:
    """Row 8: overall score, SuTI minus the experts' samples, on prompts with two or three requests."""
    if e.experts is None or e.experts.empty:
        raise NotMeasured("no metrics of the experts' samples for compositional prompts")
    if e.suti_run not in e.runs:
        raise NotMeasured(f"no metrics of run {e.suti_run}")
    suti = e.runs[e.suti_run]
    suti = suti[suti["prompt_id"].map(lambda name: (requests_of(name) or 0) > 1)]
    if suti.empty:
        raise NotMeasured(f"{e.suti_run} drew no prompt with two or three requests")
    measured({e.suti_run: suti, "experts": e.experts}, ["overall"], 1)
    figures: dict[str, Any] = {}
    intervals, words = {}, []
    for m in ("overall", SUBJECT_TEXT):
        ours, theirs = (summarise(frame, e.bootstrap, e.seed, [m])[m] for frame in (suti, e.experts))
        a, b = (np.array([x[end] for end in ("mean", "low", "high")], float) for x in (ours, theirs))
        # Other subjects, so no pairs: the half widths of both intervals add as independent errors do.
        below, above = np.hypot(a[0] - a[1], b[2] - b[0]), np.hypot(a[2] - a[0], b[0] - b[1])
        change = intervals[m] = Estimate(float(a[0] - b[0]), float(a[0] - b[0] - below), float(a[0] - b[0] + above))
        figures[m] = {"suti": float(a[0]), "experts": float(b[0]), "difference": change.mean}
        words.append(f"{_words(m)} {a[0]:.3f}, experts {b[0]:.3f}, {change}")
    return Finding(intervals["overall"].low > 0, "; ".join(words), figures, intervals, suti)


def _by_subject(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> np.ndarray:
    """(S,) differences of subject means, of the subjects that both have."""
    delta = subject_means(first, metric) - subject_means(second, metric)
    return delta.dropna().to_numpy()


def faster(e: Evidence) -> Finding:
    """Claim 5: seconds to the first pictures of a new subject, DreamBooth's over SuTI's."""
    records = [e.timings.get(run, {}) for run in (e.suti_run, "dreambooth")]
    for run, record in zip((e.suti_run, "dreambooth"), records, strict=True):
        if "by_subject" not in record:
            raise NotMeasured(f"no seconds by subject of run {run}")
    suti, dreambooth = records
    for name in ("threads", "device", "first_images"):
        if suti.get(name) != dreambooth.get(name):
            raise NotMeasured(f"not side by side: {name} is {suti.get(name)} and {dreambooth.get(name)}")
    subjects = sorted(set(suti["by_subject"]) & set(dreambooth["by_subject"]))
    if not subjects:
        raise NotMeasured("SuTI and DreamBooth drew no subject in common")
    ratio, seconds = _ratio(e, suti, dreambooth, subjects, (*PREPARATION, "first_seconds"))
    figures = {"ratio": ratio.mean, "seconds_to_first_images": seconds, "first_images": suti["first_images"]}
    figures["dreambooth_steps"] = dreambooth.get("optimisation_steps")
    intervals = {"ratio": ratio}
    words = [
        f"{seconds['suti']:.2f} s against {seconds['dreambooth']:.2f} s to the first {suti['first_images']} of a "
        f"subject: {ratio.mean:.1f} times [{ratio.low:.1f}, {ratio.high:.1f}]",
        f"DreamBooth takes {figures['dreambooth_steps']} steps",
    ]
    if suti["device"] == "cpu":
        cpu, processor = _ratio(e, suti, dreambooth, subjects, ("first_cpu_seconds",))
        figures |= {"cpu_ratio": cpu.mean, "cpu_seconds_to_first_images": processor}
        intervals["cpu_ratio"] = cpu
        words.append(f"by processor time {cpu.mean:.1f} times")
    images = [[record["by_subject"][s]["images"] for s in subjects] for record in records]
    if images[0] == images[1]:
        whole, seconds = _ratio(e, suti, dreambooth, subjects, (*PREPARATION, "sampling_seconds"))
        figures |= {"whole_subject_ratio": whole.mean, "seconds_whole_subject": seconds}
        intervals["whole_subject_ratio"] = whole
        words.append(f"a whole subject of {min(images[0])} pictures {whole.mean:.1f} times")
    prompts = [
        {"subject_id": s, "prompt_id": str(p), "image_index": i}
        for s in subjects
        for p in range(suti["by_subject"][s]["prompts"])
        for i in range(suti["by_subject"][s]["images"] // suti["by_subject"][s]["prompts"])
    ]
    return Finding(ratio.mean >= FASTER, "; ".join(words), figures, intervals, pd.DataFrame(prompts, columns=PAIR))


def _ratio(
    e: Evidence, suti: Mapping[str, Any], dreambooth: Mapping[str, Any], subjects: list[str], parts: Sequence[str]
) -> tuple[Estimate, dict[str, float]]:
    """DreamBooth's median seconds over SuTI's, of these parts together, and both medians.

    Medians, because one subject in a hundred waits for something else on a shared machine.
    """
    ours, theirs = (
        np.array([sum(record["by_subject"][s][part] for part in parts) for s in subjects])
        for record in (suti, dreambooth)
    )
    draws = resamples(len(subjects), e.bootstrap, e.seed)
    low, high = np.percentile(np.median(theirs[draws], axis=1) / np.median(ours[draws], axis=1), LEVEL)
    seconds = {"suti": float(np.median(ours)), "dreambooth": float(np.median(theirs))}
    return Estimate(seconds["dreambooth"] / seconds["suti"], float(low), float(high)), seconds


def not_copies(e: Evidence) -> Finding:
    """Claim 6: share of copies and diversity, beside the real pictures'."""
    missing = [run for run in (e.suti_run, "real") if run not in e.runs]
    if missing:
        raise NotMeasured(f"no metrics of run {', '.join(missing)}")
    limits = thresholds(e.runs["real"])
    suti, real = (mark(e.runs[run], limits) for run in (e.suti_run, "real"))
    figures: dict[str, Any] = {}
    intervals, words, holds = {}, [], True
    for name in measured({e.suti_run: suti, "real": real}, list(COPIES), 1):
        # By subject and not by picture: real photos were made for no prompt.
        change = intervals[name] = Estimate(*interval(_by_subject(suti, real, name), e.bootstrap, e.seed))
        holds &= change.mean <= MORE_COPIES
        figures[name] = {"suti": mean(suti, name), "real": mean(real, name), "threshold": limits[name]}
        figures[name]["difference"] = change.mean
        by = {"copies_dino": "DINO", "copies_pixels": "pixels"}[name]
        words.append(f"copies by {by} {mean(suti, name):.3f}, real pictures {mean(real, name):.3f}, {change}")
    drawn, true = mean(suti, "diversity"), mean(real, "diversity")
    scenes = 1 - mean(real, "dino")
    figures["diversity"] = {"suti": drawn, "real": true, "real_two_scenes": scenes}
    figures["diversity"] = {name: None if np.isnan(value) else value for name, value in figures["diversity"].items()}
    if np.isnan(drawn):
        words.append("diversity not measured: one picture a prompt")
    elif np.isnan(true):
        words.append(f"diversity {drawn:.3f}; two real pictures of a subject {scenes:.3f}")
    else:
        holds &= drawn >= LESS_DIVERSE * true
        intervals["diversity"] = Estimate(*interval(_by_subject(suti, real, "diversity"), e.bootstrap, e.seed))
        words.append(f"diversity {drawn:.3f}, real pictures {true:.3f}, {intervals['diversity']}")
    return Finding(holds, "; ".join(words), figures, intervals, suti)


CLAIMS = (
    Claim(
        "1", "subject_above_base", "SuTI's subject score is far above the base's, which is given text alone.",
        "SuTI - base, on the pictures that SuTI, base and DreamBooth share: the interval's lower end is above 0 and "
        "above half of what DreamBooth gains over the base; by the probe and by DINO", subject_above_base,
    ),
    Claim(
        "1b", "subject_near_dreambooth", "SuTI's subject score is at least DreamBooth's, within 0.02.",
        f"SuTI - DreamBooth is at least -{NEAR}; by the probe and by DINO", subject_near_dreambooth,
    ),
    Claim(
        "1c", "text_kept", "SuTI follows the text as the base does.",
        f"text score, SuTI - base, is at least -{TEXT}", text_kept,
    ),
    Claim(
        "2", "overall_rises_with_lambda",
        "The overall score rises with lambda from none to the best one, while |G| falls.",
        "best lambda - none: the interval is above 0 at a level that allows for the choice of the best (0.05 over the "
        "number of lambdas); |G| falls from each lambda to the next", rises_with_lambda, "compositional",
    ),
    Claim(
        "3", "rises_with_demonstrations", "Scores rise with the number of demonstrations, then level off.",
        "most demonstrations - one: the interval is above 0, and the last increment is smaller than the first; overall "
        "and subject score", rises_with_demonstrations, "compositional",
    ),
    Claim(
        "4", "dream_suti_above_suti", "Dream-SuTI, the apprentice fine-tuned on one subject, is above SuTI.",
        "overall score, Dream-SuTI - SuTI: the interval is above 0", dream_suti_above_suti, "compositional",
    ),
    Claim(
        "5", "faster_than_dreambooth", f"SuTI serves a new subject at least {FASTER} times faster than DreamBooth.",
        "median seconds from a new subject to the pictures of its first prompt, model loaded: DreamBooth's "
        f"(fine-tuning and drawing) are at least {FASTER} times SuTI's (encoding and drawing), same threads and "
        "device", faster,
    ),
    Claim(
        "6", "not_copies", "Outputs are not copies of the demonstrations, and differ from each other.",
        f"{COPY_RULE}: SuTI's share is at most the real pictures' + {MORE_COPIES}, by DINO and by pixels; where "
        f"prompts have several pictures, SuTI's diversity is at least {LESS_DIVERSE:g} of the real pictures'",
        not_copies,
    ),
    Claim(
        "7", "suti_above_re_imagen",
        "SuTI is above Re-Imagen, which learned from retrieved pictures and not from experts.",
        "overall score, SuTI - Re-Imagen: the interval is above 0", above_re_imagen, "compositional",
    ),
    Claim(
        "8", "apprentice_above_experts",
        "Not of the paper: the apprentice draws unseen subjects better than its experts drew their own.",
        "overall score on prompts with two or three requests, SuTI's less that of the experts' samples, unfiltered: "
        "the interval is above 0; other subjects, so the two intervals' half widths add as independent errors",
        above_experts, "compositional",
    ),
)  # fmt: skip
