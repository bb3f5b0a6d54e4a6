# G: the samples whose delta-CLIP exceeds lambda (section 4.1, Eq. 6). Scores of all samples are stored, so a new
# lambda only indexes them.


use rule program as filter_samples with:
    input:
        scores=expand(f"{R}/experts/scores-{{shard}}.parquet", shard=SHARDS),
    output:
        filtered=f"{R}/filtered/{{lam}}.parquet",
        report=f"{R}/filtered/{{lam}}.json",
    priority: 20
    params:
        **call("filter_samples", lambda_name="{lam}"),
    message:
        "G at lambda {wildcards.lam}"
