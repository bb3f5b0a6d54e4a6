# The paper's claims, each decided by one rule from the metrics, the sets G and the seconds of this run.

CLAIMS = [
    f"{R}/claims.json",
    f"{R}/claims.md",
    *expand(f"{R}/tables/claims.{{kind}}", kind=["csv", "png"]),
]


use rule program as report_claims with:
    input:
        metrics=expand(f"{R}/metrics/{{run}}.parquet", run=[run for run in RUNS if run not in CONTROL_RUNS]),
        filtered=expand(f"{R}/filtered/{{lam}}.json", lam=LAMBDAS),
        experts=JUDGED,
        prompts=expand(f"{R}/prompts/prompts-{{part}}.parquet", part=PARTS) if JUDGED else [],
        timings=[f"{R}/generations/{run}.timing.json" for run in [SUTI, *BASELINE_RUNS]],
    output:
        json=f"{R}/claims.json",
        markdown=f"{R}/claims.md",
        png=report(
            f"{R}/tables/claims.png",
            caption="../report/claims.rst",
            category="Claims",
            labels={"table": "The paper's claims, decided here"},
        ),
        csv=f"{R}/tables/claims.csv",
    params:
        **call("report_claims", settings("seed", "evaluation.bootstrap"), suti_run=SUTI),
    message:
        "The paper's claims, decided"
