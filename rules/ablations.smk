# Ablations: lambda and the set G that it leaves (section 4.1), and the number of demonstrations (Fig. 6).


rule plot_deltas:
    input:
        scores=expand(f"{R}/experts/scores-{{shard}}.parquet", shard=SHARDS),
        filtered=expand(f"{R}/filtered/{{lam}}.json", lam=LAMBDAS),
    output:
        png=report(
            f"{R}/figures/delta_histogram.png",
            caption="../report/delta_histogram.rst",
            category="Ablations",
            labels={"figure": "delta-CLIP of all samples (Eq. 6)"},
        ),
        csv=f"{R}/figures/delta_histogram.csv",
    log:
        f"{R}/logs/plot_deltas.log",
    benchmark:
        f"{R}/benchmarks/plot_deltas.tsv"
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        settings=settings("filtering.default"),
        code=code_digest("scripts/plot_deltas.py"),
        scores=lambda wildcards: f"{R}/experts/scores-{{shard}}.parquet",
        shards=len(SHARDS),
    message:
        "Figure: delta-CLIP of all samples, with the lambdas and |G|"
    shell:
        "python scripts/plot_deltas.py --settings {params.settings:q}"
        " --scores {params.scores:q} --shards {params.shards}"
        " --filtered {input.filtered} --png {output.png} --csv {output.csv} 2>&1 | tee {log}"


rule plot_lambda_curve:
    input:
        metrics=expand(f"{R}/metrics/{{run}}.parquet", run=LAMBDA_RUNS),
        filtered=expand(f"{R}/filtered/{{lam}}.json", lam=LAMBDAS),
    output:
        png=report(
            f"{R}/figures/lambda_curve.png",
            caption="../report/lambda_curve.rst",
            category="Ablations",
            labels={"figure": "Scores by lambda"},
        ),
        csv=f"{R}/figures/lambda_curve.csv",
    log:
        f"{R}/logs/plot_lambda_curve.log",
    benchmark:
        f"{R}/benchmarks/plot_lambda_curve.tsv"
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=settings("seed", "evaluation.bootstrap"),
        code=code_digest("scripts/plot_curves.py"),
    message:
        "Figure: scores against lambda, with |G|"
    shell:
        "python scripts/plot_curves.py --settings {params.settings:q} --kind lambda"
        " --metrics {input.metrics} --filtered {input.filtered}"
        " --png {output.png} --csv {output.csv} 2>&1 | tee {log}"


rule plot_demonstration_curve:
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
    log:
        f"{R}/logs/plot_demonstration_curve.log",
    benchmark:
        f"{R}/benchmarks/plot_demonstration_curve.tsv"
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=settings("seed", "evaluation.bootstrap"),
        code=code_digest("scripts/plot_curves.py"),
    message:
        "Figure: scores against the number of demonstrations"
    shell:
        "python scripts/plot_curves.py --settings {params.settings:q} --kind demonstrations"
        " --metrics {input.metrics} --png {output.png} --csv {output.csv} 2>&1 | tee {log}"
