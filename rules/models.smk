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


use rule program as models with:
    input:
        [trained(name) for name in MODELS],
    output:
        touch(f"{R}/models/.shipped"),
    params:
        **call("ship_models", models=[f"{R}/models/{name}" for name in MODELS], out="resources/models"),
    message:
        "Putting the newly trained models in the place of the shipped ones"


rule train_models:
    input:
        [trained(name) for name in MODELS],


use rule gpu_program as train_vae with:
    output:
        [f"{R}/models/vae/{file}" for file in [*VAE["vae"], "provenance.json"]],
    resources:
        **gpus(),
        runtime=1440,
    params:
        **call(
            "train_vae",
            settings("seed", "compute", "train_models.vae_steps", "train_models.compile"),
            out=f"{R}/models/vae",
            checkpoint=f"{R}/models/.checkpoints/vae.safetensors",
            pool=f"{R}/models/.pool",
        ),
    message:
        "Training the autoencoder of the text-to-image base"


use rule gpu_program as train_base with:
    input:
        [] if GO_ON else rules.train_vae.output,
    output:
        trained("base"),
    resources:
        **gpus(),
        runtime=2880,
    params:
        **call(
            "train_base",
            settings("seed", "compute", "train_models"),
            out=f"{R}/models/base",
            checkpoint=f"{R}/models/.checkpoints/base.safetensors",
            pool=f"{R}/models/.pool",
            **({"initial": SHIPPED_BASE} if GO_ON else {"vae": f"{R}/models/vae"}),
        ),
    message:
        "Training the text-to-image base"


# The other five differ in their name alone: train_models.NAME_steps and scripts/train_NAME.py.
for model in list(MODELS)[1:]:

    rule:
        name:
            f"train_{model}"
        output:
            trained(model),
        conda:
            "../envs/suti.yaml"
        threads: CONFIG.compute.threads
        resources:
            **gpus(),
        params:
            **call(
                f"train_{model}",
                settings("seed", "compute", f"train_models.{model}_steps"),
                out=f"{R}/models/{model}",
                checkpoint=f"{R}/models/.checkpoints/{model}.safetensors",
                pool=f"{R}/models/.pool",
            ),
        message:
            f"Training the {model.replace('_', '-')} model"
        shell:
            COMMAND


use rule gpu_program as report_models with:
    input:
        [model_files(f"resources/models/{name}") for name in MODELS],
    output:
        report(
            expand(f"{R}/models/models_{{name}}.png", name=["super_resolution", "captioner", "probe"]),
            caption="../report/models.rst",
            category="Models",
        ),
        out=f"{R}/models/report.json",
    params:
        **call("report_models", settings("compute"), models="resources/models", sheets=f"{R}/models"),
    message:
        "Judging the small models on held-out renders"
