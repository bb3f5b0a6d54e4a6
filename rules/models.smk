# The small models of the embedded world, trained from renders. The workflow uses the shipped ones under
# resources/models; `make models` trains them anew below the results folder and puts them in the shipped ones' place.
# To compare instead of replace, train them (`snakemake train_models`) and point models.*, mining.encoder,
# filtering.encoder and evaluation.* of an overlay at the folders below results/models.

TOKENIZER = ["tokenizer.json", "tokenizer_config.json"]
MODELS = {
    "base": [
        "model_index.json",
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "loss.csv",
    ],
    "clip": ["open_clip_config.json", "open_clip_model.safetensors", *TOKENIZER],
    "captioner": ["config.json", "model.safetensors", "processor_config.json", *TOKENIZER],
    "dino": ["config.json", "model.safetensors", "preprocessor_config.json"],
    "probe": ["config.json", "diffusion_pytorch_model.safetensors"],
    "super_resolution": ["model_index.json", "unet/diffusion_pytorch_model.safetensors"],
}
SHIPPED_BASE = "resources/models/base"
GO_ON = CONFIG.train_models.go_on
VAE = {"vae": ["config.json", "diffusion_pytorch_model.safetensors"]}  # shipped inside the base's folder


rule models:
    input:
        [trained(name) for name in MODELS],
    output:
        touch(f"{R}/models/.shipped"),
    log:
        f"{R}/logs/ship_models.log",
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_digest("scripts/ship_models.py"),
        folders=[f"{R}/models/{name}" for name in MODELS],
    message:
        "Putting the newly trained models in the place of the shipped ones"
    shell:
        "python scripts/ship_models.py --models {params.folders} --out resources/models 2>&1 | tee {log}"


rule train_models:
    input:
        [trained(name) for name in MODELS],


rule train_vae:
    output:
        [f"{R}/models/vae/{file}" for file in [*VAE["vae"], "provenance.json"]],
    log:
        f"{R}/logs/train_vae.log",
    benchmark:
        f"{R}/benchmarks/train_vae.tsv"
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        settings=settings("seed", "compute", "train_models.vae_steps", "train_models.compile"),
        code=code_digest("scripts/train_vae.py"),
        folder=lambda wildcards: f"{R}/models/vae",
        checkpoint=f"{R}/models/.checkpoints/vae.safetensors",
        pool=f"{R}/models/.pool",
    message:
        "Training the autoencoder of the text-to-image base"
    shell:
        "python scripts/train_vae.py --settings {params.settings:q} --out {params.folder:q}"
        " --checkpoint {params.checkpoint:q} --pool {params.pool:q} 2>&1 | tee {log}"


rule train_base:
    input:
        [] if GO_ON else rules.train_vae.output,
    output:
        trained("base"),
    log:
        f"{R}/logs/train_base.log",
    benchmark:
        f"{R}/benchmarks/train_base.tsv"
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=4000,
        runtime=2880,
    params:
        settings=settings("seed", "compute", "train_models"),
        code=code_digest("scripts/train_base.py"),
        folder=lambda wildcards: f"{R}/models/base",
        checkpoint=f"{R}/models/.checkpoints/base.safetensors",
        start=["--initial", SHIPPED_BASE] if GO_ON else ["--vae", f"{R}/models/vae"],
        pool=f"{R}/models/.pool",
    message:
        "Training the text-to-image base"
    shell:
        "python scripts/train_base.py --settings {params.settings:q} --out {params.folder:q}"
        " --checkpoint {params.checkpoint:q} --pool {params.pool:q} {params.start:q} 2>&1 | tee {log}"


# The other five differ in their name alone: train_models.NAME_steps and scripts/train_NAME.py.
for model in list(MODELS)[1:]:

    rule:
        name:
            f"train_{model}"
        output:
            trained(model),
        log:
            f"{R}/logs/train_{model}.log",
        benchmark:
            f"{R}/benchmarks/train_{model}.tsv"
        conda:
            "../envs/suti.yaml"
        threads: CONFIG.compute.threads
        resources:
            mem_mb=3000,
            runtime=1440,
        params:
            settings=settings("seed", "compute", f"train_models.{model}_steps"),
            code=code_digest(f"scripts/train_{model}.py"),
            script=f"scripts/train_{model}.py",
            folder=lambda wildcards, model=model: f"{R}/models/{model}",
            checkpoint=f"{R}/models/.checkpoints/{model}.safetensors",
            pool=f"{R}/models/.pool",
        message:
            f"Training the {model.replace('_', '-')} model"
        shell:
            "python {params.script} --settings {params.settings:q} --out {params.folder:q}"
            " --checkpoint {params.checkpoint:q} --pool {params.pool:q} 2>&1 | tee {log}"


rule report_models:
    input:
        [model_files(f"resources/models/{name}") for name in MODELS],
    output:
        figures=f"{R}/models/report.json",
        sheets=report(
            expand(f"{R}/models/models_{{name}}.png", name=["super_resolution", "captioner", "probe"]),
            caption="../report/models.rst",
            category="Models",
        ),
    log:
        f"{R}/logs/report_models.log",
    benchmark:
        f"{R}/benchmarks/report_models.tsv"
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code_digest("scripts/report_models.py"),
        folder=lambda wildcards: f"{R}/models",
    message:
        "Judging the small models on held-out renders"
    shell:
        "python scripts/report_models.py --models resources/models"
        " --out {output.figures} --sheets {params.folder:q} 2>&1 | tee {log}"
