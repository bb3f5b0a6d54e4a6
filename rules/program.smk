# How a rule calls its program, and what all such rules share.
#
# A rule inherits from `program`, or from `gpu_program` if its program holds a model, and states what is its own: input,
# output, params, message. Its command line is made of what has a name there:
#
#     use rule gpu_program as mine_clusters with:
#         input:
#             model_files(CONFIG.mining.encoder),               no name: only watched
#             pages=f"{R}/pages/pages-{{part}}.parquet",         --pages results/pages/pages-0.parquet
#         output:
#             members=f"{R}/mining/members-{{part}}.parquet",    --members results/mining/members-0.parquet
#         params:
#             **call("mine_clusters", settings("mining", "compute"), part="{part}"),
#
# runs `python scripts/mine_clusters.py --settings '{"compute": ...}' --part 0 --pages ... --members ...`. It reruns when
# the content of an input, one of these settings, an option or the code of the script changes. A list of files is one
# option of several words; None and empty lists are left out. Log and benchmark have the rule's name (rules/logs.smk).
# A rule that needs more than its base gives has `threads` and `resources`; `resources` replaces all of the base's.
# `priority`: 20 on the way to the apprentices, 10 for their training, the longest jobs, and 5 for long jobs that nothing
# waits for, which should not be left to the end on one core.


rule program:
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        COMMAND


# Its program holds a model. How much memory and time that takes depends on the model, so the profile says it.
use rule program as gpu_program with:
    threads: CONFIG.compute.threads
    resources:
        **gpus(),
