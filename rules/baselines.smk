# What SuTI is compared with: the base on text alone, and the systems of suti/baselines/systems.py.


use rule gpu_program as generate_base with:
    input:
        model_files(CONFIG.models.base),
        **BENCHMARK,
    output:
        **drawn("base"),
    priority: 5
    params:
        **call(
            "generate",
            settings("seed", "compute", "models.base", *SAMPLING),
            run="base",
            **asked("base"),
            cache=f"{R}/generations/cache",
        ),
    message:
        "The base draws the benchmark from text alone"


# One rule for all: a system's entry says which settings and which code it reads, so a change of one reruns no other.
use rule gpu_program as personalize with:
    input:
        model_files(CONFIG.models.base),
        lambda wildcards: pipeline_files(starting_model(wildcards.system)),
        **BENCHMARK,
    output:
        **drawn("{system}"),
    priority: 5
    params:
        **call(
            "personalize",
            lambda wildcards: settings(
                "seed", "compute", "models.base", *SYSTEMS[wildcards.system].reads, *SAMPLING
            ),
            by_name=lambda wildcards: SYSTEMS[wildcards.system].source,
            method="{system}",
            module=lambda wildcards: SYSTEMS[wildcards.system].module,
            reads=lambda wildcards: SYSTEMS[wildcards.system].reads,
            model=lambda wildcards: starting_model(wildcards.system),
            templates=lambda wildcards: asked(wildcards.system)["templates"],
            compositional=lambda wildcards: asked(wildcards.system)["compositional"],
            first=CONFIG.evaluation.baseline_subjects,
            cache=f"{R}/baselines/cache",
        ),
    message:
        "{wildcards.system} draws the benchmark"


# The apprentice's network and training, with the clusters' own pictures in the place of G.
use rule gpu_program as train_re_imagen with:
    input:
        model_files(CONFIG.models.base),
        **TRAINING_SET,
    output:
        pipeline_files(f"{R}/baselines/re-imagen"),
        f"{R}/baselines/re-imagen/loss.csv",
    priority: 10
    threads: CONFIG.compute.threads * CONFIG.apprentice.processes
    resources:
        **gpus(CONFIG.apprentice.processes),
        runtime=4320,
    params:
        **call(
            "train_apprentice",
            settings(
                "seed",
                "compute",
                "models.base",
                "apprentice",
                "baselines.re_imagen.steps",
                exclude=["apprentice.steps"] if CONFIG.baselines.re_imagen.steps is not None else [],
            ),
            out_dir=f"{R}/baselines/re-imagen",
            checkpoints=f"{R}/baselines/.checkpoints/re-imagen",
        ),
    message:
        "Re-Imagen: the apprentice's network, trained on the clusters themselves"
