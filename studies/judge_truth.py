"""How true pictures fare before the judge, by skill: the ceiling of every figure of the rendered world.

    python studies/judge_truth.py --out docs/results/judge.json

Each prompt of the benchmark is rendered for its subject and judged twice: against the subject's plain references, and
against references that show it as the prompt asks (recoloured, under an effect, in a style).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd

from suti.benchmark.world import world_benchmark
from suti.config.schema import Compute
from suti.evaluation.judging import judge_run
from suti.io.atomic import write_json
from suti.io.provenance import provenance
from suti.small_models.probe_network import load_probe

SCORES = ("subject", "text", "realism", "overall")


def by_skill(judged: pd.DataFrame, skills: pd.Series, thresholds: dict[str, float]) -> dict[str, dict[str, float]]:
    """Mean scores and pass rates of each skill, and of all pictures."""
    table = judged.assign(skill=skills.to_numpy())
    for name in ("subject", "text", "realism"):
        table[f"{name}_pass"] = table[name] >= thresholds[name]
    table["subject_and_text"] = table["subject_pass"] & table["text_pass"]
    columns = [*SCORES, "subject_pass", "text_pass", "realism_pass", "subject_and_text"]
    groups = {"all": table, **dict(iter(table.groupby("skill")))}
    return {
        str(name): {"pictures": len(rows), **{column: round(float(rows[column].mean()), 4) for column in columns}}
        for name, rows in groups.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probe", default="resources/models/probe", help="folder of the judge")
    parser.add_argument("--subjects", type=int, default=24, help="unseen subjects")
    parser.add_argument("--prompts", type=int, default=25, help="of DreamBench's templates, a subject")
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark; 0 is that of the default run")
    parser.add_argument("--out", required=True, type=Path, help="JSON to write")
    args = parser.parse_args()

    begun = time.perf_counter()
    benchmark = world_benchmark(args.seed, args.subjects, args.prompts, 1, 1)
    probe = load_probe(args.probe, Compute())
    targets = pd.DataFrame(benchmark.targets)
    skill_of = {(row["subject_id"], row["prompt_id"]): row["skill"] for row in benchmark.prompts}
    skills = pd.Series([skill_of[pair] for pair in zip(targets["subject_id"], targets["prompt_id"], strict=True)])
    found = {}
    for name, appearances in (("plain_references", None), ("references_as_asked", benchmark.appearances)):
        judged = judge_run(targets, benchmark.target_images, benchmark.references, probe, appearances)
        found[name] = by_skill(judged, skills, probe.thresholds)
    settings = {"probe": args.probe, "subjects": args.subjects, "prompts": args.prompts, "seed": args.seed}
    record = provenance(settings, time.perf_counter() - begun, thresholds=probe.thresholds, **found)
    write_json(args.out, record)
    for name, rows in found.items():
        print(name)
        print(pd.DataFrame(rows).T.to_string())


if __name__ == "__main__":
    main()
