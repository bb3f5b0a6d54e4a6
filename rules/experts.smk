# Experts (Eq. 4): one fine-tuned model a subject, and its samples for unseen prompts. rules/filtering.smk scores them.
#
# A shard is one job: many subjects in one process. A subject's shard is a stable hash of its id, within its part of
# the pages; so no job needs all parts and none has outputs by the thousand, on which Snakemake's planning would be
# quadratic. Inside a shard every expert is content-addressed: a new picture costs one expert, and another number of
# shards costs none.


use rule program as partition_subjects with:
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
    priority: 20
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        **call("partition_subjects", shards=len(NUMBERS), out_dir=f"{R}/experts/inputs/{{part}}"),
    message:
        "Dealing the subjects of part {wildcards.part} to shards"


use rule gpu_program as train_experts with:
    input:
        model_files(CONFIG.models.base),
        demonstrations=lambda wildcards: expert_inputs("demonstrations.parquet", wildcards.shard),
        prompts=lambda wildcards: expert_inputs("prompts.parquet", wildcards.shard),
        images=lambda wildcards: expert_inputs("images.tar", wildcards.shard),
    output:
        pictures=f"{R}/experts/samples-{{shard}}.tar",
        samples=f"{R}/experts/samples-{{shard}}.parquet",
        log_table=f"{R}/experts/log-{{shard}}.parquet",
    priority: 20
    params:
        **call(
            "train_experts",
            settings("seed", "compute", "models.base", "experts", exclude=["experts.shards"]),
            cache=f"{R}/experts/cache",
            kept=f"{R}/experts/kept",
        ),
    message:
        "Experts of shard {wildcards.shard}: train, sample, discard"
