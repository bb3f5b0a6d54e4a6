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
            prompts_per_subject=prompts_per_subject("base"),
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
<<<<<<< HEAD
        **call(
            "personalize",
            lambda wildcards: settings(
                "seed", "compute", "models.base", *SYSTEMS[wildcards.system].settings, *SAMPLING
            )(wildcards),
            method="{system}",
            model=lambda wildcards: starting_model(wildcards.system),
            prompts_per_subject=lambda wildcards: prompts_per_subject(wildcards.system),
            first=CONFIG.evaluation.baseline_subjects,
            cache=f"{R}/baselines/cache",
=======
        settings=lambda wildcards: settings(
            "seed", "compute", "models.base", *SYSTEMS[wildcards.system].reads, *SAMPLING
        )(wildcards),
        code=code_digest("scripts/personalize.py"),
        module=lambda wildcards: SYSTEMS[wildcards.system].module,
        method_code=lambda wildcards: code_digest(SYSTEMS[wildcards.system].source),
        reads=lambda wildcards: SYSTEMS[wildcards.system].reads,
        model=lambda wildcards: (
            f"--model {quote(folder)}" if (folder := starting_model(wildcards.system)) else ""
>>>>>>> systems
        ),
        method_code=lambda wildcards: code_digest(SYSTEMS[wildcards.system].source),
    message:
        "{wildcards.system} draws the benchmark"
<<<<<<< HEAD
=======
    shell:
        "python scripts/personalize.py --settings {params.settings:q} --method {wildcards.system}"
        " --module {params.module} --reads {params.reads}"
        " {params.model} --prompts-per-subject {params.prompts} {params.first}"
        " --subjects {input.subjects} --prompts {input.prompts} --demonstrations {input.demonstrations}"
        " --images {input.images} --cache {params.cache:q}"
        " --generations {output.generations} --images-out {output.images} --timing {output.timing} 2>&1 | tee {log}"
>>>>>>> systems


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
<<<<<<< HEAD
        **call(
            "train_apprentice",
            settings(
                "seed",
                "compute",
                "models.base",
                "apprentice",
                "baselines.re_imagen_steps",
                exclude=["apprentice.steps"] if CONFIG.baselines.re_imagen_steps is not None else [],
            ),
            out_dir=f"{R}/baselines/re-imagen",
            checkpoints=f"{R}/baselines/.checkpoints/re-imagen",
=======
        settings=settings(
            "seed",
            "compute",
            "models.base",
            "apprentice",
            "baselines.re_imagen.steps",
            exclude=["apprentice.steps"] if CONFIG.baselines.re_imagen.steps is not None else [],
>>>>>>> systems
        ),
    message:
        "Re-Imagen: the apprentice's network, trained on the clusters themselves"
