# InstructPix2Pix: pairs drawn by Prompt-to-Prompt from the base, filtered by CLIP, and the editor that learns from them.
# rules/baselines.smk draws the benchmark with it.

PAIRS = {
    "pairs": f"{R}/baselines/instruction-pairs.parquet",
    "images": f"{R}/baselines/instruction-pairs.tar",
}
EDITOR = f"{R}/baselines/instruct-pix2pix"


use rule gpu_program as make_instruction_pairs with:
    input:
        model_files(CONFIG.models.base),
        model_files(CONFIG.filtering.encoder),
        subjects=expand(f"{R}/subjects/subjects-{{part}}.parquet", part=PARTS),
        vocabulary="resources/language/grammar.yaml",
    output:
        **PAIRS,
    params:
        **call(
            "make_instruction_pairs",
            settings(
                "seed",
                "compute",
                "models.base",
                "filtering.encoder",
                "language.skills",
                "baselines.instruct_pix2pix.edits",
                "baselines.instruct_pix2pix.draws",
                *SAMPLING,
            ),
            cache=f"{R}/baselines/cache/instruction-pairs",
        ),
    message:
        "Drawing training pairs of InstructPix2Pix"


use rule gpu_program as train_instruct_pix2pix with:
    input:
        model_files(CONFIG.models.base),
        **PAIRS,
    output:
        pipeline_files(EDITOR),
        f"{EDITOR}/provenance.json",
    resources:
        **gpus(),
        runtime=2880,
    params:
        **call(
            "train_instruct_pix2pix",
            settings(
                "seed",
                "compute",
                "models.base",
                "baselines.instruct_pix2pix.min_image",
                "baselines.instruct_pix2pix.min_text",
                "baselines.instruct_pix2pix.min_direction",
                "baselines.instruct_pix2pix.keep",
                "baselines.instruct_pix2pix.steps",
                "baselines.instruct_pix2pix.batch_size",
                "baselines.instruct_pix2pix.learning_rate",
                "baselines.instruct_pix2pix.drop",
            ),
            out=EDITOR,
            checkpoint=f"{R}/baselines/cache/instruct-pix2pix.safetensors",
            loss=f"{R}/logs/train_instruct_pix2pix.jsonl",
        ),
    message:
        "Training InstructPix2Pix"
