# Evaluation (section 5): the benchmark, and every run's DINO, CLIP-I, CLIP-T and probe scores with intervals.


use rule program as prepare_benchmark with:
    input:
        photo_files(),
    output:
        **BENCHMARK,
        references=f"{R}/benchmark/references.tar",
        targets=f"{R}/benchmark/targets.parquet",
        target_images=f"{R}/benchmark/targets.tar",
    params:
        **call(
            "prepare_benchmark",
            settings(
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
        ),
    message:
        "The benchmark: {CONFIG.evaluation.benchmark}, {CONFIG.evaluation.subjects} held-out subjects"


use rule gpu_program as evaluate with:
    input:
        [model_files(spec) for spec in sorted(set(CONFIG.evaluation.encoders.values()))],
        model_files(CONFIG.evaluation.probe),
        unpack(lambda wildcards: generations(wildcards.run)),
        references=f"{R}/benchmark/references.tar",
        demonstrations=BENCHMARK["images"],
    output:
        metrics=f"{R}/metrics/{{run}}.parquet",
        summary=f"{R}/metrics/{{run}}.json",
    params:
        **call(
            "evaluate",
            settings(
                "seed",
                "compute",
                "evaluation.encoders",
                "evaluation.probe",
                "evaluation.bootstrap",
                exclude=["compute.precision"],
            ),
            run="{run}",
        ),
    message:
        "Judging the pictures of {wildcards.run}"
