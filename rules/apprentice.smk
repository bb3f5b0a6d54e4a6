# The apprentice (Eq. 5): one model, trained on G, that learns a subject from its demonstrations alone.

# What every training on the clusters reads; the apprentice's adds G.
TRAINING_SET = {
    "demonstrations": [expert_inputs("demonstrations.parquet", shard) for shard in SHARDS],
    "images": [expert_inputs("images.tar", shard) for shard in SHARDS],
    "subjects": expand(f"{R}/subjects/subjects-{{part}}.parquet", part=PARTS),
}

# How often an apprentice is trained changes none of its trainings.
TRAININGS = ["apprentice.trainings", "apprentice.trained_again"]


use rule gpu_program as train_apprentice with:
    input:
        model_files(CONFIG.models.base),
        **TRAINING_SET,
        filtered=f"{R}/filtered/{{lam}}.parquet",
        samples=lambda wildcards: trained_samples(wildcards.lam),
        pictures=lambda wildcards: trained_pictures(wildcards.lam),
    output:
        pipeline_files(f"{R}/apprentice/{{lam}}{{training}}"),
        f"{R}/apprentice/{{lam}}{{training}}/loss.csv",
    priority: 10
    threads: CONFIG.compute.threads * CONFIG.apprentice.processes
    resources:
        **gpus(CONFIG.apprentice.processes),
        runtime=4320,
    params:
        **call(
            "train_apprentice",
            settings("seed", "compute", "models.base", "apprentice", exclude=TRAININGS),
            training_set="samples",
            training=lambda wildcards: (
                runs.training_number(wildcards.training) if wildcards.training else None
            ),
            out_dir=f"{R}/apprentice/{{lam}}{{training}}",
            checkpoints=f"{R}/apprentice/.checkpoints/{{lam}}{{training}}",
        ),
    message:
        "Apprentice trained on G at lambda {wildcards.lam}{wildcards.training}"


use rule gpu_program as generate_suti with:
    input:
        model_files(CONFIG.models.base),
        pipeline_files(f"{R}/apprentice/{{lam}}{{training}}"),
        **BENCHMARK,
    output:
        **drawn(runs.TEMPLATE),
    params:
        **call(
            "generate",
            settings("seed", "compute", "models.base", *SAMPLING),
            run=runs.TEMPLATE,
            model=f"{R}/apprentice/{{lam}}{{training}}",
            demonstrations_per_subject="{k}",
            templates=lambda wildcards: asked(runs.TEMPLATE.format(**wildcards))["templates"],
            compositional=lambda wildcards: asked(runs.TEMPLATE.format(**wildcards))["compositional"],
            alone=lambda wildcards: drawn_alone(runs.TEMPLATE.format(**wildcards)),
            cache=f"{R}/generations/cache",
        ),
    message:
        "SuTI at lambda {wildcards.lam}{wildcards.training} with {wildcards.k} demonstrations draws the benchmark"
