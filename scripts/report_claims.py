"""Decide the paper's claims from a run's metrics, by one rule each: claims.json, and the same to read.

    python scripts/report_claims.py --suti-run suti-q0.4-k4 --metrics results/metrics/*.parquet \\
        --filtered results/filtered/*.json --timings results/generations/*.timing.json \\
        --json results/claims.json --markdown results/claims.md --png results/tables/claims.png \\
        --csv results/tables/claims.csv

Claims that need a run which is not among the metrics are undecided; the reason stands in the JSON.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from suti.cli.arguments import parser
from suti.config.values import COMPOSITIONAL
from suti.evaluation.bootstrap import by_run
from suti.evaluation.claims import judge
from suti.evaluation.evidence import Evidence
from suti.figures.claims import VERDICT, draw, to_frame, to_markdown
from suti.figures.style import save, save_csv
from suti.io import tables
from suti.io.atomic import read_json, write_json, write_text


def compositional_samples(experts: str, prompts: Sequence[str]) -> pd.DataFrame:
    """Metrics of the experts' samples for compositional prompts."""
    metrics, asked = tables.read(experts, "image_metrics"), tables.read_all(prompts, "prompts")
    chosen = asked[asked["skill"] == COMPOSITIONAL]
    pairs = set(chosen[["subject_id", "prompt_id"]].itertuples(index=False, name=None))
    rows = metrics[["subject_id", "prompt_id"]].itertuples(index=False, name=None)
    return metrics[np.array([pair in pairs for pair in rows], bool)]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--suti-run", required=True, help="run of the main result, e.g. suti-q0.4-k4")
    arguments.add_argument("--metrics", nargs="+", required=True, help="tables 'image_metrics', one a run")
    arguments.add_argument("--filtered", nargs="*", default=[], help="filtered/{lambda}.json of the grid")
    arguments.add_argument("--timings", nargs="*", default=[], help="NAME.timing.json of each run")
    arguments.add_argument("--experts", metavar="FILE", help="table 'image_metrics' of the experts' samples")
    arguments.add_argument("--prompts", nargs="*", default=[], help="tables 'prompts', with the skill of each sample")
    arguments.add_argument("--json", required=True)
    arguments.add_argument("--markdown", required=True)
    arguments.add_argument("--png", required=True)
    arguments.add_argument("--csv", required=True)
    args = arguments.parse_args()

    evidence = Evidence(
        runs=by_run(tables.read(path, "image_metrics") for path in args.metrics),
        filtered=[read_json(path) for path in args.filtered],
        timings={path.rsplit("/", 1)[-1].removesuffix(".timing.json"): read_json(path) for path in args.timings},
        suti_run=args.suti_run,
        bootstrap=args.settings["evaluation.bootstrap"],
        seed=args.settings.seed,
        experts=compositional_samples(args.experts, args.prompts) if args.experts else None,
    )
    claims = judge(evidence)
    write_json(args.json, claims)
    write_text(args.markdown, to_markdown(claims))
    save_csv(to_frame(claims), args.csv)
    save(draw(claims), args.png)
    for claim in claims:
        print(f"{claim['number']:<3}{VERDICT[claim['holds']]:<14}{claim['ours'] or claim['reason']}")


if __name__ == "__main__":
    main()
