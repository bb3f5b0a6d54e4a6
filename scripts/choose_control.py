"""The set that a control's apprentice is trained on, in the place of G (suti/controls.py).

    python scripts/choose_control.py --control random --scores results/scores/delta_clip.parquet \\
        --default results/filtered/q0.4.json --filtered results/filtered/random.parquet \\
        --report results/filtered/random.json --settings '{"seed": 0}'

The controls of copies choose from the scores of the planted set.
"""

from __future__ import annotations

import math
from typing import get_args

from suti.cli.arguments import parser
from suti.controls import random_subset
from suti.filtering import above
from suti.io import tables
from suti.io.atomic import read_json, write_json
from suti.runs import Control


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--control", required=True, choices=get_args(Control))
    arguments.add_argument("--scores", required=True, help="table 'scores' to choose from")
    arguments.add_argument("--default", required=True, help="filtered/{lambda}.json of the default lambda")
    arguments.add_argument("--filtered", required=True, help="table 'filtered' to write")
    arguments.add_argument("--report", required=True, help="JSON to write: control, threshold, samples, kept")
    args = arguments.parse_args()
    scores, default = tables.read(args.scores, "scores"), read_json(args.default)
    threshold = default["threshold"] if args.control == "copies-filtered" else None
    if args.control == "random":
        kept = random_subset(scores, default["kept"], args.settings.seed)
    else:
        kept = above(scores, -math.inf if threshold is None else threshold)
    if kept.empty:
        raise ValueError(
            f"control {args.control!r}: no score exceeds {threshold:.6g}; leave it out of filtering.controls"
        )
    tables.write(args.filtered, "filtered", kept)
    report = {
        "lambda": args.control,
        "control": True,
        "threshold": threshold,
        "samples": len(scores),
        "kept": len(kept),
        "subjects": int(kept["subject_id"].nunique()),
    }
    write_json(args.report, report)
    print(f"control {args.control}: {len(kept)} of {len(scores)} samples, {report['subjects']} subjects")


if __name__ == "__main__":
    main()
