# Evaluation (section 5): the benchmark, every run's DINO, CLIP-I, CLIP-T and probe scores, and their intervals.


use rule program as prepare_benchmark with:
    input:
        photo_files(),
    output:
        **BENCHMARK,
        references=f"{R}/benchmark/references.tar",
        appearances=f"{R}/benchmark/appearances.tar",
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
                "evaluation.compositional_prompts_per_subject",
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
        appearances=f"{R}/benchmark/appearances.tar",
        demonstrations=BENCHMARK["images"],
    output:
        metrics=f"{R}/metrics/{{run}}.parquet",
    params:
        **call(
            "evaluate",
            settings("compute", "evaluation.encoders", "evaluation.probe", exclude=["compute.precision"]),
            run="{run}",
            cache=f"{R}/metrics/cache/{{run}}",
        ),
    message:
        "Judging the pictures of {wildcards.run}"


use rule program as summarise_metrics with:
    input:
        model_files(CONFIG.evaluation.probe),  # its thresholds
        metrics=f"{R}/metrics/{{run}}.parquet",
    output:
        summary=f"{R}/metrics/{{run}}.json",
    params:
        **call(
            "summarise_metrics",
            settings("seed", "evaluation.encoders", "evaluation.probe", "evaluation.bootstrap"),
        ),
    message:
        "Means and intervals of {wildcards.run}"
