# Experts (Eq. 4): one fine-tuned model a subject, its samples for unseen prompts, and their delta-CLIP (Eq. 6).
#
# A shard is one job: many subjects in one process. A subject's shard is a stable hash of its id, within its part of
# the pages; so no job needs all parts and none has outputs by the thousand, on which Snakemake's planning would be
# quadratic. Inside a shard every expert is content-addressed: a new picture costs one expert, and another number of
# shards costs none.


rule partition_subjects:
    input:
        members=f"{R}/mining/members-{{part}}.parquet",
        texts=f"{R}/subjects/texts-{{part}}.parquet",
        prompts=f"{R}/prompts/prompts-{{part}}.parquet",
        images=f"{R}/pages/images-{{part}}.tar",
        report=ancient(f"{R}/mining/report.json"),  # asked only by a part without clusters
    output:
        expand(
            f"{R}/experts/inputs/{{{{part}}}}/{{number}}/{{name}}",
            number=NUMBERS,
            name=["demonstrations.parquet", "prompts.parquet", "images.tar"],
        ),
    log:
        f"{R}/logs/partition_subjects/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/partition_subjects/{{part}}.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        settings=lambda wildcards: json.dumps({"experts.shards": len(NUMBERS)}),
        code=code_digest("scripts/partition_subjects.py"),
        folder=lambda wildcards: f"{R}/experts/inputs/{wildcards.part}",
    message:
        "Dealing the subjects of part {wildcards.part} to shards"
    shell:
        "python scripts/partition_subjects.py --settings {params.settings:q} --report {input.report}"
        " --members {input.members} --texts {input.texts} --prompts {input.prompts} --images {input.images}"
        " --out-dir {params.folder:q} 2>&1 | tee {log}"


rule train_experts:
    input:
        demonstrations=lambda wildcards: expert_inputs("demonstrations.parquet", wildcards.shard),
        prompts=lambda wildcards: expert_inputs("prompts.parquet", wildcards.shard),
        images=lambda wildcards: expert_inputs("images.tar", wildcards.shard),
        base=model_files(CONFIG.models.base),
        encoder=model_files(CONFIG.filtering.encoder),
    output:
        samples=f"{R}/experts/samples-{{shard}}.tar",
        scores=f"{R}/experts/scores-{{shard}}.parquet",
        table=f"{R}/experts/log-{{shard}}.parquet",
    log:
        f"{R}/logs/train_experts/{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/train_experts/{{shard}}.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=1440,
    params:
        settings=settings(
            "seed", "compute", "models.base", "experts", "filtering.encoder", exclude=["experts.shards"]
        ),
        code=code_digest("scripts/train_experts.py"),
        cache=f"{R}/experts/cache",
        kept=f"{R}/experts/kept",
    message:
        "Experts of shard {wildcards.shard}: train, sample, score, discard"
    shell:
        "python scripts/train_experts.py --settings {params.settings:q}"
        " --demonstrations {input.demonstrations} --prompts {input.prompts} --images {input.images}"
        " --cache {params.cache:q} --kept {params.kept:q} --samples {output.samples} --scores {output.scores} --log-table {output.table}"
        " 2>&1 | tee {log}"
