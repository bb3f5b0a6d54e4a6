# What SuTI is compared with: the base on text alone, DreamBooth, and Dream-SuTI (the apprentice tuned to a subject).


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
    message:
        "The base draws the benchmark from text alone"
    shell:
        "python scripts/generate.py --settings {params.settings:q} --run base"
        " --prompts-per-subject {params.prompts}"
        " --subjects {input.subjects} --prompts {input.prompts} --demonstrations {input.demonstrations}"
        " --images {input.images}"
        " --generations {output.generations} --images-out {output.images} --timing {output.timing} 2>&1 | tee {log}"


rule personalize_dreambooth:
    input:
        **BENCHMARK,
        base=model_files(CONFIG.models.base),
    output:
        generations=f"{R}/generations/dreambooth.parquet",
        images=f"{R}/generations/dreambooth.tar",
        timing=f"{R}/generations/dreambooth.timing.json",
    log:
        f"{R}/logs/personalize/dreambooth.log",
    benchmark:
        f"{R}/benchmarks/personalize/dreambooth.tsv"
    priority: 5  # long jobs that nothing waits for: before short ones, not at the end on one core
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=1440,
    params:
        settings=settings(
            "seed",
            "compute",
            "models.base",
            "baselines",
            "experts.frozen",
            *SAMPLING,
            exclude=["baselines.dream_suti_steps", "baselines.dream_suti_learning_rate"],
        ),
        code=code_digest("scripts/personalize.py"),
        prompts=prompts_per_subject("dreambooth"),
        cache=f"{R}/baselines/cache",
    message:
        "DreamBooth: one fine-tuned base a subject draws the benchmark"
    shell:
        "python scripts/personalize.py --settings {params.settings:q} --method dreambooth"
        " --prompts-per-subject {params.prompts}"
        " --subjects {input.subjects} --prompts {input.prompts} --demonstrations {input.demonstrations}"
        " --images {input.images} --cache {params.cache:q}"
        " --generations {output.generations} --images-out {output.images} --timing {output.timing} 2>&1 | tee {log}"


rule personalize_dream_suti:
    input:
        **BENCHMARK,
        index=f"{R}/apprentice/{LAMBDA}/model_index.json",
        unet=f"{R}/apprentice/{LAMBDA}/unet/diffusion_pytorch_model.safetensors",
        base=model_files(CONFIG.models.base),
    output:
        generations=f"{R}/generations/dream-suti.parquet",
        images=f"{R}/generations/dream-suti.tar",
        timing=f"{R}/generations/dream-suti.timing.json",
    log:
        f"{R}/logs/personalize/dream-suti.log",
    benchmark:
        f"{R}/benchmarks/personalize/dream-suti.tsv"
    priority: 5  # long jobs that nothing waits for: before short ones, not at the end on one core
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=1440,
    params:
        settings=settings(
            "seed",
            "compute",
            "models.base",
            "baselines.dream_suti_steps",
            "baselines.dream_suti_learning_rate",
            "experts.frozen",
            *SAMPLING,
        ),
        code=code_digest("scripts/personalize.py"),
        model=lambda wildcards: f"{R}/apprentice/{LAMBDA}",
        prompts=prompts_per_subject("dream-suti"),
        cache=f"{R}/baselines/cache",
    message:
        "Dream-SuTI: the apprentice, fine-tuned to each subject, draws the benchmark"
    shell:
        "python scripts/personalize.py --settings {params.settings:q} --method dream-suti"
        " --model {params.model:q} --prompts-per-subject {params.prompts}"
        " --subjects {input.subjects} --prompts {input.prompts} --demonstrations {input.demonstrations}"
        " --images {input.images} --cache {params.cache:q}"
        " --generations {output.generations} --images-out {output.images} --timing {output.timing} 2>&1 | tee {log}"
