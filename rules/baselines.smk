# What SuTI is compared with: the base on text alone, and the systems of suti/baselines/systems.py.


rule generate_base:
    input:
        **BENCHMARK,
        base=model_files(CONFIG.models.base),
    output:
        generations=f"{R}/generations/base.parquet",
        images=f"{R}/generations/base.tar",
        timing=f"{R}/generations/base.timing.json",
    log:
        f"{R}/logs/generate/base.log",
    benchmark:
        f"{R}/benchmarks/generate/base.tsv"
    priority: 5  # long jobs that nothing waits for: before short ones, not at the end on one core
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=720,
    params:
        settings=settings("seed", "compute", "models.base", *SAMPLING),
        code=code_digest("scripts/generate.py"),
        prompts=prompts_per_subject("base"),
        cache=f"{R}/generations/cache",
    message:
        "The base draws the benchmark from text alone"
    shell:
        "python scripts/generate.py --settings {params.settings:q} --run base"
        " --prompts-per-subject {params.prompts} --cache {params.cache:q}"
        " --subjects {input.subjects} --prompts {input.prompts} --demonstrations {input.demonstrations}"
        " --images {input.images}"
        " --generations {output.generations} --images-out {output.images} --timing {output.timing} 2>&1 | tee {log}"


# One rule for all: a system's entry says which settings and which code it reads, so a change of one reruns no other.
rule personalize:
    input:
        **BENCHMARK,
        model=lambda wildcards: pipeline_files(starting_model(wildcards.system)),
        base=model_files(CONFIG.models.base),
    output:
        generations=f"{R}/generations/{{system}}.parquet",
        images=f"{R}/generations/{{system}}.tar",
        timing=f"{R}/generations/{{system}}.timing.json",
    log:
        f"{R}/logs/personalize/{{system}}.log",
    benchmark:
        f"{R}/benchmarks/personalize/{{system}}.tsv"
    priority: 5  # long jobs that nothing waits for: before short ones, not at the end on one core
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=1440,
    params:
        settings=lambda wildcards: settings(
            "seed", "compute", "models.base", *SYSTEMS[wildcards.system].reads, *SAMPLING
        )(wildcards),
        code=code_digest("scripts/personalize.py"),
        module=lambda wildcards: SYSTEMS[wildcards.system].module,
        method_code=lambda wildcards: code_digest(SYSTEMS[wildcards.system].source),
        reads=lambda wildcards: SYSTEMS[wildcards.system].reads,
        model=lambda wildcards: (
            f"--model {quote(folder)}" if (folder := starting_model(wildcards.system)) else ""
        ),
        prompts=lambda wildcards: prompts_per_subject(wildcards.system),
        first=f"--first {CONFIG.evaluation.baseline_subjects}" if CONFIG.evaluation.baseline_subjects else "",
        cache=f"{R}/baselines/cache",
    message:
        "{wildcards.system} draws the benchmark"
    shell:
        "python scripts/personalize.py --settings {params.settings:q} --method {wildcards.system}"
        " --module {params.module} --reads {params.reads}"
        " {params.model} --prompts-per-subject {params.prompts} {params.first}"
        " --subjects {input.subjects} --prompts {input.prompts} --demonstrations {input.demonstrations}"
        " --images {input.images} --cache {params.cache:q}"
        " --generations {output.generations} --images-out {output.images} --timing {output.timing} 2>&1 | tee {log}"


# The apprentice's network and training, with the clusters' own pictures in the place of G.
rule train_re_imagen:
    input:
        demonstrations=[expert_inputs("demonstrations.parquet", shard) for shard in SHARDS],
        images=[expert_inputs("images.tar", shard) for shard in SHARDS],
        subjects=expand(f"{R}/subjects/subjects-{{part}}.parquet", part=PARTS),
        base=model_files(CONFIG.models.base),
    output:
        index=f"{R}/baselines/re-imagen/model_index.json",
        unet=f"{R}/baselines/re-imagen/unet/diffusion_pytorch_model.safetensors",
        loss=f"{R}/baselines/re-imagen/loss.csv",
    log:
        f"{R}/logs/train_re_imagen.log",
    benchmark:
        f"{R}/benchmarks/train_re_imagen.tsv"
    priority: 10  # the longest jobs: the first in line
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads * CONFIG.apprentice.processes
    resources:
        mem_mb=2500 * CONFIG.apprentice.processes,
        runtime=4320,
    params:
        settings=settings(
            "seed",
            "compute",
            "models.base",
            "apprentice",
            "baselines.re_imagen.steps",
            exclude=["apprentice.steps"] if CONFIG.baselines.re_imagen.steps is not None else [],
        ),
        code=code_digest("scripts/train_apprentice.py"),
        folder=lambda wildcards: f"{R}/baselines/re-imagen",
        checkpoints=lambda wildcards: f"{R}/baselines/.checkpoints/re-imagen",
        demonstrations=lambda wildcards, input: braces(input.demonstrations),
        images=lambda wildcards, input: braces(input.images),
        subjects=lambda wildcards, input: braces(input.subjects),
    message:
        "Re-Imagen: the apprentice's network, trained on the clusters themselves"
    shell:
        "python scripts/train_apprentice.py --settings {params.settings:q}"
        " --demonstrations {params.demonstrations} --images {params.images}"
        " --subjects {params.subjects} --checkpoints {params.checkpoints:q} --out-dir {params.folder:q} 2>&1 | tee {log}"
