# Ablations: lambda and the set G that it leaves (section 4.1), and the number of demonstrations (Fig. 6).


use rule program as plot_deltas with:
    input:
        scores=SCORED,
        filtered=expand(f"{R}/filtered/{{lam}}.json", lam=LAMBDAS),
    output:
        png=report(
            f"{R}/figures/delta_histogram.png",
            caption="../report/delta_histogram.rst",
            category="Ablations",
            labels={"figure": "delta-CLIP of all samples (Eq. 6)"},
        ),
        csv=f"{R}/figures/delta_histogram.csv",
    params:
        **call("plot_deltas", settings("filtering.default", "filtering.score")),
    message:
        "Figure: {CONFIG.filtering.score} of all samples, with the lambdas and |G|"


use rule program as plot_lambda_curve with:
    input:
        metrics=expand(f"{R}/metrics/{{run}}.parquet", run=[*LAMBDA_RUNS, *CONTROL_RUNS]),
        filtered=expand(f"{R}/filtered/{{lam}}.json", lam=[*LAMBDAS, *CONTROLS]),
    output:
        png=report(
            f"{R}/figures/lambda_curve.png",
            caption="../report/lambda_curve.rst",
            category="Ablations",
            labels={"figure": "Scores by lambda"},
        ),
        csv=f"{R}/figures/lambda_curve.csv",
    params:
        **call("plot_curves", settings("seed", "evaluation.bootstrap"), kind="lambda"),
    message:
        "Figure: scores against lambda, with |G|"


use rule program as plot_filter_gain with:
    input:
        model_files(CONFIG.evaluation.probe),  # its thresholds
        scores=SCORED,
        metrics=JUDGED,
        planted_scores=PLANTED["planted_scores"],
        planted_metrics=JUDGED_COPIES,
        prompts=expand(f"{R}/prompts/prompts-{{part}}.parquet", part=PARTS),
    output:
        png=report(
            f"{R}/figures/filter_gain.png",
            caption="../report/filter_gain.rst",
            category="Ablations",
            labels={"figure": "What the filter gains, by the share of failed samples"},
        ),
        csv=f"{R}/figures/filter_gain.csv",
    params:
        **call(
            "plot_filter_gain",
            settings("seed", "filtering.default", "evaluation.probe", "evaluation.bootstrap"),
        ),
    message:
        "Figure: the filter's gain against the share of failed samples"


use rule program as plot_demonstration_curve with:
    input:
        metrics=expand(f"{R}/metrics/{{run}}.parquet", run=DEMONSTRATION_RUNS),
    output:
        png=report(
            f"{R}/figures/demonstration_curve.png",
            caption="../report/demonstration_curve.rst",
            category="Ablations",
            labels={"figure": "Scores by number of demonstrations (Fig. 6)"},
        ),
        csv=f"{R}/figures/demonstration_curve.csv",
    params:
        **call("plot_curves", settings("seed", "evaluation.bootstrap"), kind="demonstrations"),
    message:
        "Figure: scores against the number of demonstrations"
