"""G at one lambda: which samples are kept for the apprentice (Eq. 6).

    python scripts/filter_samples.py --lambda-name q0.4 --scores results/scores/delta_clip.parquet \\
        --prompts results/prompts/prompts-*.parquet --truth-scores results/scores/truth-delta_clip.parquet \\
        --filtered results/filtered/q0.4.parquet --report results/filtered/q0.4.json

The report says what the cut keeps by skill, and, where scores of true pictures are given, what it would keep of these.
"""

from __future__ import annotations

import math

from suti.cli.arguments import parser
from suti.filtering import filtered_set, kept_by_skill
from suti.io import tables
from suti.io.atomic import write_json


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--lambda-name", required=True, help="none, a raw cosine such as 0.02, or qX")
    arguments.add_argument("--scores", required=True, help="table 'scores' of all samples")
    arguments.add_argument("--prompts", nargs="+", required=True, help="tables 'prompts' of all parts, with the skills")
    arguments.add_argument(
        "--truth-scores", help="table 'scores' of the samples' true pictures, where the world has them"
    )
    arguments.add_argument("--filtered", required=True, help="table 'filtered' to write")
    arguments.add_argument("--report", required=True, help="JSON to write: lambda, threshold, samples, kept")
    args = arguments.parse_args()

    scores = tables.read(args.scores, "scores")
    kept, threshold = filtered_set(scores, args.lambda_name)
    tables.write(args.filtered, "filtered", kept)
    report = {
        "lambda": args.lambda_name,
        "threshold": threshold if math.isfinite(threshold) else None,
        "samples": len(scores),
        "kept": len(kept),
        "subjects": int(kept["subject_id"].nunique()),
    }
    prompts = tables.read_all(args.prompts, "prompts")
    skills = dict(zip(prompts["prompt_id"], prompts["skill"], strict=True))
    report["skills"] = kept_by_skill(scores, threshold, skills)["skills"]
    if args.truth_scores:
        report["truth"] = kept_by_skill(tables.read(args.truth_scores, "scores"), threshold, skills)
    write_json(args.report, report)
    print(f"lambda {args.lambda_name}: |G| = {len(kept)} of {len(scores)} samples, {report['subjects']} subjects")


if __name__ == "__main__":
    main()
