# Evaluation (section 5): the benchmark, and every run's DINO, CLIP-I, CLIP-T and probe scores with intervals.


rule prepare_benchmark:
    input:
        photos=photo_files(),
    output:
        **BENCHMARK,
        references=f"{R}/benchmark/references.tar",
        targets=f"{R}/benchmark/targets.parquet",
        target_images=f"{R}/benchmark/targets.tar",
    log:
        f"{R}/logs/prepare_benchmark.log",
    benchmark:
        f"{R}/benchmarks/prepare_benchmark.tsv"
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        settings=settings(
            "seed",
            "pages.max_pixels",
            "evaluation.benchmark",
            "evaluation.path",
            "evaluation.prompts",
            "evaluation.subjects",
            "evaluation.prompts_per_subject",
            "evaluation.main_subjects",
            *(["evaluation.ablation_prompts_per_subject"] if CONFIG.evaluation.main_subjects else []),
            "evaluation.images_per_prompt",
            "evaluation.demonstrations",
            "evaluation.demonstration_spread",
            "evaluation.demonstration_grid",
        ),
        code=code_digest("scripts/prepare_benchmark.py"),
        folder=lambda wildcards: f"{R}/benchmark",
    message:
        "The benchmark: {CONFIG.evaluation.benchmark}, {CONFIG.evaluation.subjects} held-out subjects"
    shell:
        "python scripts/prepare_benchmark.py --settings {params.settings:q} --out-dir {params.folder:q}"
        " 2>&1 | tee {log}"


rule evaluate:
    input:
        unpack(lambda wildcards: generations(wildcards.run)),
        references=f"{R}/benchmark/references.tar",
        demonstrations=BENCHMARK["images"],
        encoders=[
            file for spec in sorted(set(CONFIG.evaluation.encoders.values())) for file in model_files(spec)
        ],
        probe=model_files(CONFIG.evaluation.probe),
    output:
        metrics=f"{R}/metrics/{{run}}.parquet",
        summary=f"{R}/metrics/{{run}}.json",
    log:
        f"{R}/logs/evaluate/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate/{{run}}.tsv"
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=120,
    params:
        settings=settings(
            "seed",
            "compute",
            "evaluation.encoders",
            "evaluation.probe",
            "evaluation.bootstrap",
            exclude=["compute.precision"],
        ),
        code=code_digest("scripts/evaluate.py"),
    message:
        "Judging the pictures of {wildcards.run}"
    shell:
        "python scripts/evaluate.py --settings {params.settings:q} --run {wildcards.run}"
        " --generations {input.generations} --images {input.images} --references {input.references}"
        " --demonstrations {input.demonstrations}"
        " --metrics {output.metrics} --summary {output.summary} 2>&1 | tee {log}"
