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
    message:
        "The base draws the benchmark from text alone"
    shell:
        "python scripts/generate.py --settings {params.settings:q} --run base"
        " --prompts-per-subject {params.prompts}"
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
            "seed", "compute", "models.base", *SYSTEMS[wildcards.system].settings, *SAMPLING
        )(wildcards),
        code=code_digest("scripts/personalize.py"),
        method_code=lambda wildcards: code_digest(SYSTEMS[wildcards.system].source),
        model=lambda wildcards: (
            f"--model {quote(folder)}" if (folder := starting_model(wildcards.system)) else ""
        ),
        prompts=lambda wildcards: prompts_per_subject(wildcards.system),
        cache=f"{R}/baselines/cache",
    message:
        "{wildcards.system} draws the benchmark"
    shell:
        "python scripts/personalize.py --settings {params.settings:q} --method {wildcards.system}"
        " {params.model} --prompts-per-subject {params.prompts}"
        " --subjects {input.subjects} --prompts {input.prompts} --demonstrations {input.demonstrations}"
        " --images {input.images} --cache {params.cache:q}"
        " --generations {output.generations} --images-out {output.images} --timing {output.timing} 2>&1 | tee {log}"
