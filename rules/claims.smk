# The paper's claims, each decided by one rule from the metrics, the sets G and the seconds of this run.

CLAIMS = [
    f"{R}/claims.json",
    f"{R}/claims.md",
    *expand(f"{R}/tables/claims.{{kind}}", kind=["csv", "png"]),
]


rule report_claims:
    input:
        metrics=expand(f"{R}/metrics/{{run}}.parquet", run=RUNS),
        filtered=expand(f"{R}/filtered/{{lam}}.json", lam=LAMBDAS),
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
    log:
        f"{R}/logs/report_claims.log",
    benchmark:
        f"{R}/benchmarks/report_claims.tsv"
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=settings("seed", "evaluation.bootstrap"),
        code=code_digest("scripts/report_claims.py"),
        suti=SUTI,
    message:
        "The paper's claims, decided"
    shell:
        "python scripts/report_claims.py --settings {params.settings:q} --suti-run {params.suti}"
        " --metrics {input.metrics} --filtered {input.filtered} --timings {input.timings}"
        " --json {output.json} --markdown {output.markdown} --png {output.png} --csv {output.csv} 2>&1 | tee {log}"
