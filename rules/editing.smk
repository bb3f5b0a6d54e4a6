# InstructPix2Pix: pairs drawn by Prompt-to-Prompt from the base, filtered by CLIP, and the editor that learns from them.
# rules/baselines.smk draws the benchmark with it.

EDITOR = f"{R}/baselines/instruct-pix2pix"


rule make_instruction_pairs:
    input:
        subjects=expand(f"{R}/subjects/subjects-{{part}}.parquet", part=PARTS),
        vocabulary="resources/language/grammar.yaml",
        base=model_files(CONFIG.models.base),
        encoder=model_files(CONFIG.filtering.encoder),
    output:
        pairs=f"{R}/baselines/instruction-pairs.parquet",
        images=f"{R}/baselines/instruction-pairs.tar",
    log:
        f"{R}/logs/make_instruction_pairs.log",
    benchmark:
        f"{R}/benchmarks/make_instruction_pairs.tsv"
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
            "filtering.encoder",
            "language.skills",
            "baselines.instruct_pix2pix.edits",
            "baselines.instruct_pix2pix.draws",
            *SAMPLING,
        ),
        code=code_digest("scripts/make_instruction_pairs.py"),
        cache=f"{R}/baselines/cache/instruction-pairs",
    message:
        "Drawing training pairs of InstructPix2Pix"
    shell:
        "python scripts/make_instruction_pairs.py --settings {params.settings:q} --subjects {input.subjects}"
        " --vocabulary {input.vocabulary} --cache {params.cache:q}"
        " --pairs {output.pairs} --images {output.images} 2>&1 | tee {log}"


rule train_instruct_pix2pix:
    input:
        pairs=f"{R}/baselines/instruction-pairs.parquet",
        images=f"{R}/baselines/instruction-pairs.tar",
        base=model_files(CONFIG.models.base),
    output:
        pipeline_files(EDITOR),
        f"{EDITOR}/provenance.json",
    log:
        f"{R}/logs/train_instruct_pix2pix.log",
    benchmark:
        f"{R}/benchmarks/train_instruct_pix2pix.tsv"
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=3000,
        runtime=2880,
    params:
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
            ),
        ),
        code=code_digest("scripts/train_instruct_pix2pix.py"),
        folder=lambda wildcards: EDITOR,
        checkpoint=f"{R}/baselines/cache/instruct-pix2pix.safetensors",
        loss=f"{R}/logs/train_instruct_pix2pix.jsonl",
    message:
        "Training InstructPix2Pix"
    shell:
        "python scripts/train_instruct_pix2pix.py --settings {params.settings:q} --pairs {input.pairs}"
        " --images {input.images} --out {params.folder:q} --checkpoint {params.checkpoint:q}"
        " --loss {params.loss:q} 2>&1 | tee {log}"
