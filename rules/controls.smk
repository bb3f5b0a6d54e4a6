# Controls beside the curve of lambda (suti/controls.py), and what the judge says of all that an apprentice learns from.

# Planted copies: a table of all samples with the copies among them, a shard of the copies, and the scores of both.
PLANTED = {
    "planted": f"{R}/controls/copies.parquet",
    "pictures": f"{R}/controls/copies.tar",
    "planted_scores": f"{R}/controls/scores.parquet",
}
JUDGED_COPIES = f"{R}/controls/metrics.parquet"


use rule program as plant_copies with:
    input:
        samples=SAMPLES,
        inputs=[expert_inputs("demonstrations.parquet", shard) for shard in SHARDS],
        input_images=[expert_inputs("images.tar", shard) for shard in SHARDS],
        embeddings=expand(f"{R}/scores/embeddings-{{shard}}.safetensors", shard=SHARDS),
        scores=SCORED,
    output:
        **PLANTED,
    priority: 20
    params:
        **call("plant_copies", settings("seed", "filtering.score", "filtering.planted_share")),
    message:
        "Planting copies of the pages' own pictures among the samples"


use rule program as choose_control with:
    input:
        scores=lambda wildcards: (
            PLANTED["planted_scores"] if wildcards.control.startswith("copies") else SCORED
        ),
        default=f"{R}/filtered/{LAMBDA}.json",
    output:
        filtered=f"{R}/filtered/{{control}}.parquet",
        report=f"{R}/filtered/{{control}}.json",
    wildcard_constraints:
        control="|".join(runs.CONTROLS),
    priority: 20
    params:
        **call("choose_control", settings("seed"), control="{control}"),
    message:
        "The set of the control {wildcards.control}"


use rule gpu_program as judge_experts with:
    input:
        model_files(CONFIG.evaluation.probe),
        **PAGE_TRUTH,
        samples=SAMPLES,
        pictures=PICTURES,
    output:
        metrics=f"{R}/metrics/{runs.EXPERTS}.parquet",
    priority: 5
    params:
        **call(
            "judge_samples",
            settings("seed", "compute", "evaluation.probe", exclude=["compute.precision"]),
            run=runs.EXPERTS,
        ),
    message:
        "Judging what the experts drew"


use rule judge_experts as judge_copies with:
    input:
        model_files(CONFIG.evaluation.probe),
        **PAGE_TRUTH,
        samples=PLANTED["planted"],
        pictures=PLANTED["pictures"],
    output:
        metrics=JUDGED_COPIES,
    params:
        **call(
            "judge_samples",
            settings("seed", "compute", "evaluation.probe", exclude=["compute.precision"]),
            run="copies",
        ),
    message:
        "Judging planted copies"


ruleorder: judge_experts > evaluate
