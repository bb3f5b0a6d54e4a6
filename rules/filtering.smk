# G: the samples whose delta-CLIP exceeds lambda (section 4.1, Eq. 6). Scores of all samples are stored, so a new
# lambda only indexes them.


rule filter_samples:
    input:
        scores=expand(f"{R}/experts/scores-{{shard}}.parquet", shard=SHARDS),
    output:
        filtered=f"{R}/filtered/{{lam}}.parquet",
        report=f"{R}/filtered/{{lam}}.json",
    log:
        f"{R}/logs/filter_samples/{{lam}}.log",
    benchmark:
        f"{R}/benchmarks/filter_samples/{{lam}}.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        code=code_digest("scripts/filter_samples.py"),
        # A pattern, as thousands of names would not fit a command line.
        scores=lambda wildcards: f"{R}/experts/scores-{{shard}}.parquet",
        shards=len(SHARDS),
    message:
        "G at lambda {wildcards.lam}"
    shell:
        "python scripts/filter_samples.py --lambda-name {wildcards.lam}"
        " --scores {params.scores:q} --shards {params.shards}"
        " --filtered {output.filtered} --report {output.report} 2>&1 | tee {log}"
