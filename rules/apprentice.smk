# The apprentice (Eq. 5): one model, trained on G, that learns a subject from its demonstrations alone.


rule train_apprentice:
    input:
        filtered=f"{R}/filtered/{{lam}}.parquet",
        scores=expand(f"{R}/experts/scores-{{shard}}.parquet", shard=SHARDS),
        samples=expand(f"{R}/experts/samples-{{shard}}.tar", shard=SHARDS),
        demonstrations=[expert_inputs("demonstrations.parquet", shard) for shard in SHARDS],
        images=[expert_inputs("images.tar", shard) for shard in SHARDS],
        subjects=expand(f"{R}/subjects/subjects-{{part}}.parquet", part=PARTS),
        base=model_files(CONFIG.models.base),
    output:
        index=f"{R}/apprentice/{{lam}}/model_index.json",
        unet=f"{R}/apprentice/{{lam}}/unet/diffusion_pytorch_model.safetensors",
        loss=f"{R}/apprentice/{{lam}}/loss.csv",
    log:
        f"{R}/logs/train_apprentice/{{lam}}.log",
    benchmark:
        f"{R}/benchmarks/train_apprentice/{{lam}}.tsv"
    priority: 10  # the longest jobs: the first in line
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads * CONFIG.apprentice.processes
    resources:
        mem_mb=2500 * CONFIG.apprentice.processes,
        runtime=4320,
    params:
        settings=settings("seed", "compute", "models.base", "apprentice"),
        code=code_digest("scripts/train_apprentice.py"),
        folder=lambda wildcards: f"{R}/apprentice/{wildcards.lam}",
        checkpoints=lambda wildcards: f"{R}/apprentice/.checkpoints/{wildcards.lam}",
        scores=lambda wildcards, input: braces(input.scores),
        samples=lambda wildcards, input: braces(input.samples),
        demonstrations=lambda wildcards, input: braces(input.demonstrations),
        images=lambda wildcards, input: braces(input.images),
        subjects=lambda wildcards, input: braces(input.subjects),
    message:
        "Apprentice trained on G at lambda {wildcards.lam}"
    shell:
        "python scripts/train_apprentice.py --settings {params.settings:q}"
        " --filtered {input.filtered} --scores {params.scores} --samples {params.samples}"
        " --demonstrations {params.demonstrations} --images {params.images}"
        " --subjects {params.subjects} --checkpoints {params.checkpoints:q} --out-dir {params.folder:q} 2>&1 | tee {log}"


rule generate_suti:
    input:
        **BENCHMARK,
        index=f"{R}/apprentice/{{lam}}/model_index.json",
        unet=f"{R}/apprentice/{{lam}}/unet/diffusion_pytorch_model.safetensors",
        base=model_files(CONFIG.models.base),
    output:
        generations=f"{R}/generations/suti-{{lam}}-k{{k}}.parquet",
        images=f"{R}/generations/suti-{{lam}}-k{{k}}.tar",
        timing=f"{R}/generations/suti-{{lam}}-k{{k}}.timing.json",
    log:
        f"{R}/logs/generate/suti-{{lam}}-k{{k}}.log",
    benchmark:
        f"{R}/benchmarks/generate/suti-{{lam}}-k{{k}}.tsv"
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=720,
    params:
        settings=settings("seed", "compute", "models.base", *SAMPLING),
        code=code_digest("scripts/generate.py"),
        model=lambda wildcards: f"{R}/apprentice/{wildcards.lam}",
        prompts=lambda wildcards: prompts_per_subject(str(Run.suti(wildcards.lam, int(wildcards.k)))),
        cache=f"{R}/generations/cache",
    message:
        "SuTI at lambda {wildcards.lam} with {wildcards.k} demonstrations draws the benchmark"
    shell:
        "python scripts/generate.py --settings {params.settings:q} --run suti-{wildcards.lam}-k{wildcards.k}"
        " --model {params.model:q} --demonstrations-per-subject {wildcards.k} --prompts-per-subject {params.prompts}"
        " --subjects {input.subjects} --prompts {input.prompts} --demonstrations {input.demonstrations}"
        " --images {input.images} --cache {params.cache:q}"
        " --generations {output.generations} --images-out {output.images} --timing {output.timing} 2>&1 | tee {log}"
