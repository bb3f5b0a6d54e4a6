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
<<<<<<< HEAD
        **call(
            "make_instruction_pairs",
            settings(
                "seed",
                "compute",
                "models.base",
                "filtering.encoder",
                "language.skills",
                "baselines.instruct_pix2pix_edits",
                "baselines.instruct_pix2pix_draws",
                *SAMPLING,
            ),
            cache=f"{R}/baselines/cache/instruction-pairs",
=======
        settings=settings(
            "seed",
            "compute",
            "models.base",
            "filtering.encoder",
            "language.skills",
            "baselines.instruct_pix2pix.edits",
            "baselines.instruct_pix2pix.draws",
            *SAMPLING,
>>>>>>> systems
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
<<<<<<< HEAD
        **call(
            "train_instruct_pix2pix",
            settings(
                "seed",
                "compute",
                "models.base",
                "baselines.instruct_pix2pix_min_image",
                "baselines.instruct_pix2pix_min_text",
                "baselines.instruct_pix2pix_min_direction",
                "baselines.instruct_pix2pix_keep",
                "baselines.instruct_pix2pix_steps",
                "baselines.instruct_pix2pix_batch_size",
                "baselines.instruct_pix2pix_learning_rate",
                "baselines.instruct_pix2pix_drop",
=======
        settings=settings(
            "seed",
            "compute",
            "models.base",
            *(
                f"baselines.instruct_pix2pix.{name}"
                for name in (
                    "min_image",
                    "min_text",
                    "min_direction",
                    "keep",
                    "steps",
                    "batch_size",
                    "learning_rate",
                    "drop",
                )
>>>>>>> systems
            ),
            out=EDITOR,
            checkpoint=f"{R}/baselines/cache/instruct-pix2pix.safetensors",
            loss=f"{R}/logs/train_instruct_pix2pix.jsonl",
        ),
    message:
        "Training InstructPix2Pix"
