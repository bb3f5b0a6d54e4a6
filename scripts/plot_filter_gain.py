"""The filter's gain against the share of failed samples, from cases whose share is known, as PNG and CSV.

    python scripts/plot_filter_gain.py --scores results/scores/delta_clip.parquet \\
        --metrics results/metrics/experts.parquet --planted-scores results/controls/scores.parquet \\
        --planted-metrics results/controls/metrics.parquet --prompts results/prompts/prompts-*.parquet \\
        --png results/figures/filter_gain.png --csv results/figures/filter_gain.csv \\
        --settings '{"seed": 0, "filtering.default": "q0.4", ...}'
"""

from __future__ import annotations

from suti.cli.arguments import parser
from suti.evaluation.summary import probe_thresholds
from suti.figures.filter_gain import gain_curve, gain_table, judged_samples
from suti.figures.style import save, save_csv
from suti.io import tables


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--scores", required=True, help="table 'scores' of all samples")
    arguments.add_argument("--metrics", required=True, help="table 'image_metrics' of the experts' samples")
    arguments.add_argument("--planted-scores", required=True, help="table 'scores' of the planted set")
    arguments.add_argument("--planted-metrics", required=True, help="table 'image_metrics' of the copies in it")
    arguments.add_argument("--prompts", nargs="+", required=True, help="tables 'prompts' of all parts, with the skills")
    arguments.add_argument("--png", required=True)
    arguments.add_argument("--csv", required=True)
    args = arguments.parse_args()
    s = args.settings
    limits, lam = probe_thresholds(s["evaluation.probe"]), s["filtering.default"]
    prompts = tables.read_all(args.prompts, "prompts")
    skills = dict(zip(prompts["prompt_id"], prompts["skill"], strict=True))
    samples, copies = (
        judged_samples(tables.read(scores, "scores"), tables.read(metrics, "image_metrics"), limits, skills)
        for scores, metrics in ((args.scores, args.metrics), (args.planted_scores, args.planted_metrics))
    )
    table = gain_table(samples, copies, lam, s["evaluation.bootstrap"], s.seed)
    save_csv(table, args.csv)
    save(gain_curve(table, lam), args.png)


if __name__ == "__main__":
    main()
