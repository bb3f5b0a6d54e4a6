"""The configuration: Pydantic models that are the one source of config.yaml, its JSON schema and its reference page.

Each field has a description (it becomes the comment in config.yaml and the row in docs/configuration.md) and the
default of the embedded run, `tiny`. Unknown keys are errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)

from suti.baselines.systems import SYSTEMS, sections
from suti.config.fields import Fraction, Natural, Positive, Section
from suti.config.values import Skill, parse_lambda
from suti.runs import Control


def _lambda_text(value: Any) -> Any:
    """A lambda as text: YAML reads an unquoted 0.02 as a number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = format(Decimal(repr(value)), "f")
    if isinstance(value, str):
        parse_lambda(value)
    return value


Lambda = Annotated[str, BeforeValidator(_lambda_text), WithJsonSchema({"type": ["string", "number"]})]
EncoderSpec = Annotated[str, WithJsonSchema({"type": ["string", "null"]})]
ScoreName = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]  # it becomes part of file names


def _partial(info: ValidationInfo) -> bool:
    """True while a script reads the part of the configuration that its rule passed: the rest is then defaults."""
    return bool(info.context and info.context.get("partial"))


class Compute(Section):
    """How a process computes. Nothing here changes what is computed, beyond rounding."""

    threads: Positive = Field(1, description="CPU threads of one process; two processes of one thread beat one of two")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda|cuda:\d{1,4})$", description="where models run: auto, cpu, cuda, or one GPU such as cuda:1; auto takes a GPU if there is one, and of several the one that the fewest processes hold")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="autocast precision of training and sampling; auto takes bf16 where the hardware computes it, else fp32")
    compile: bool = Field(False, description="torch.compile the base that experts train and sample; needs a C++ compiler (on a GPU Triton), and a minute or two a job, so it pays only for long shards")


class SuperResolutionStage(Section):
    """One stage of `models.super_resolution`. What is null is the default of the stage's family (docs/method.md)."""

    model: str = Field(min_length=1, description="a folder or hub id: a stage of the kind that is shipped, an IFSuperResolutionPipeline or a StableDiffusionUpscalePipeline")
    noise_level: Annotated[float, Field(ge=0)] | None = Field(None, description="noise augmentation, in the family's units: for the shipped kind a standard deviation in [0, 0.5], 0.05 by default; for IFSuperResolutionPipeline a timestep in 0..999, 250; for StableDiffusionUpscalePipeline one in 0..350, 20")
    num_inference_steps: Positive | None = Field(None, description="denoising steps; by default 2 for the shipped kind, 50 for IFSuperResolutionPipeline, 75 for StableDiffusionUpscalePipeline")
    guidance_scale: Annotated[float, Field(ge=0)] | None = Field(None, description="weight of the text, 1 is no guidance; by default 4 for IFSuperResolutionPipeline, 9 for StableDiffusionUpscalePipeline; the shipped kind reads no text and takes none")

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> Any:
        """The spec alone where nothing else is set, as people write it."""
        values = {key: value for key, value in handler(self).items() if value is not None}
        return values if len(values) > 1 else self.model


def _stage_list(value: Any) -> Any:
    """Stages as a list of mappings: null is none, one spec is a list of it, a spec is a mapping of ``model``."""
    value = [] if value is None else [value] if isinstance(value, str) else value
    return [{"model": v} if isinstance(v, str) else v for v in value] if isinstance(value, list) else value


_SPEC = {"type": "string", "minLength": 1}
_STAGE = {"anyOf": [_SPEC, SuperResolutionStage.model_json_schema()]}
Stages = Annotated[
    list[SuperResolutionStage],
    BeforeValidator(_stage_list),
    WithJsonSchema({"anyOf": [{"type": "null"}, _SPEC, {"type": "array", "items": _STAGE}]}),
]


Metric = Literal["dino", "clip_i", "clip_t", "dinov2"]
_CLIP = "open_clip:local-dir:resources/models/clip"
_ENCODERS: dict[Metric, str] = {"dino": "transformers:resources/models/dino", "clip_i": _CLIP, "clip_t": _CLIP}
_SKILL_SHARES: dict[Skill, float] = {"recontextualization": 0.2, "attribute_editing": 0.1, "art_style": 0.08, "accessorization": 0.12, "compositional": 0.5}


class Models(Section):
    """Model folders (save_pretrained layout) or hub ids. Tiny ones are shipped under resources/models."""

    base: str = Field("resources/models/base", description="text-to-image base: a diffusers folder or hub id (pixel or latent)")
    super_resolution: Stages = Field(["resources/models/super_resolution"], description="super-resolution stages, in order; each is a folder or hub id, or a mapping of `model` and settings; one folder or id needs no list; null or [] is none")  # type: ignore[list-item] # as people write it; defaults are validated like theirs
    apprentice: str | None = Field("resources/models/apprentice", description="apprentice that `suti generate` and `suti app` use while the run has trained none, or null for none")
    captioner: str = Field("resources/models/captioner", description="transformers image-to-text model")


class Pages(Section):
    """Where web pages come from, and the limits for hostile input."""

    format: Literal["world", "obelics", "webdataset", "folders", "auto"] = Field("world", description="world: rendered pages; obelics: parquet; webdataset: tars; folders: one folder of pictures a subject; auto: each path by what it is")
    path: list[str] = Field(default_factory=list, description="files or folders to read (unused for format world)")
    parts: Positive = Field(2, description="parallel parts of mining, captions and prompts; pages are dealt by a hash of their URL")
    image_size: Positive = Field(64, description="pixels: shorter side to which kept pictures are reduced (never enlarged)")
    max_images_per_page: Positive = Field(50, description="pictures read of one page; the rest is dropped with reason page_full")
    max_pixels: Positive = Field(40_000_000, description="largest picture that is decoded, width x height")
    max_alt_text: Positive = Field(300, description="characters kept of an alt text, after stripping tags")


class World(Section):
    """The procedural world behind the embedded default."""

    subjects: Positive = Field(104, description="single-subject web pages, the ones that mining should keep")
    mixed: int = Field(20, ge=0, description="pages with several subjects")
    near_duplicates: int = Field(14, ge=0, description="pages with one shot again and again")
    too_few: int = Field(14, ge=0, description="pages with fewer than 3 pictures")
    broken: int = Field(10, ge=0, description="pages whose pictures are mostly broken files")
    exact_duplicates: int = Field(10, ge=0, description="pages that repeat the same bytes")


class Mining(Section):
    """Clusters from pages (section 4)."""

    encoder: str = Field("open_clip:local-dir:resources/models/clip", description="image encoder: open_clip:MODEL/PRETRAINED, open_clip:local-dir:FOLDER or transformers:ID_OR_FOLDER")
    min_images: Positive = Field(3, description="pages with fewer usable pictures are dropped")
    max_images: Positive = Field(10, description="pictures used of one cluster (the paper's experts see 3-10)")
    similarity: tuple[float, float] = Field((0.82, 0.98), description="band of the mean pairwise cosine that is kept; it belongs to the encoder (paper: 0.82 to 0.98 with CLIP ViT-L/14)")
    batch_size: Positive = Field(256, description="pictures a forward pass of the encoder")

    @field_validator("similarity")
    @classmethod
    def _band(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not -1 <= value[0] < value[1] <= 1:
            raise ValueError(f"similarity: {list(value)}, expected two rising numbers in [-1, 1]")
        return value

    @model_validator(mode="after")
    def _images(self, info: ValidationInfo) -> Mining:
        if not _partial(info) and self.min_images > self.max_images:
            raise ValueError(f"min_images: {self.min_images}, expected at most max_images ({self.max_images})")
        return self


class Captions(Section):
    """Captioner settings."""

    batch_size: Positive = Field(32, description="pictures a forward pass; rows never depend on it beyond rounding")
    max_new_tokens: Positive = Field(24, description="longest caption, tokens")


class Language(Section):
    """The language stage: refined captions and unseen prompts."""

    backend: Literal["grammar", "transformers", "openai"] = Field("grammar", description="grammar: deterministic, no model; transformers: local instruct model; openai: any OpenAI-compatible server")
    model: str = Field("", description="model folder or hub id (transformers) or model name (openai)")
    base_url: str = Field("", description="address of the OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1")
    api_key_variable: str = Field("OPENAI_API_KEY", description="environment variable that holds the server's key")
    max_retries: int = Field(2, ge=0, description="further attempts when an answer does not fit the schema, before the grammar writes the row")
    concurrency: Positive = Field(32, description="questions that a server is asked at a time (openai); rows do not depend on it")
    patience: float = Field(600, ge=0, description="seconds for which a server may be away or busy before the job ends; its answers so far are kept")
    max_fallback_share: Fraction = Field(0.5, description="share of questions that the grammar may answer in the model's place; a job with more stops, after 20 questions")
    temperature: float = Field(0.7, ge=0, description="sampling temperature of a model's first answer; each retry adds 0.3, and 0 is greedy")
    max_new_tokens: Positive = Field(200, description="longest answer, tokens")
    scene_in_texts: bool = Field(True, description="refined captions name the scene of their picture, as the paper's do; false: the subject alone, so that experts bind the place to the subject and follow prompts less")
    prompts_per_subject: Positive = Field(6, description="unseen prompts a subject")
    skills: dict[Skill, Fraction] = Field(
        default_factory=lambda: dict(_SKILL_SHARES),
        description="share of each skill among the prompts",
    )

    @model_validator(mode="after")
    def _backend_is_named(self, info: ValidationInfo) -> Language:
        if not _partial(info) and self.backend != "grammar" and not self.model:
            raise ValueError(f"model: empty, but backend is {self.backend!r}; name the instruct model")
        if not _partial(info) and self.backend == "openai" and not self.base_url:
            raise ValueError("base_url: empty, but backend is 'openai'; give the server's address")
        if not sum(self.skills.values()) > 0:
            raise ValueError(f"skills: {self.skills}, expected at least one share above 0")
        return self


class Experts(Section):
    """Per-subject experts: Eq. 4, then samples for the subject's unseen prompts."""

    method: Literal["full", "lora"] = Field("lora", description="LoRA on linear and convolution layers, or full fine-tuning of the UNet (paper); docs/experts.md compares them")
    lora_rank: Positive = Field(16, description="rank of the LoRA factors")
    steps: Positive = Field(26, description="optimiser steps (paper: 500)")
    batch_size: Positive = Field(4, description="images a step")
    learning_rate: float = Field(2e-3, gt=0, description="Adafactor, fixed rate (paper: 1e-5, full fine-tuning)")
    frozen: list[str] = Field(default_factory=lambda: ["conv_in", "conv_out"], description="modules of the UNet that experts and baselines leave as they are; a trained first or last convolution leaves a checkerboard on patchified pixels ([]: train all, as the paper)")
    num_inference_steps: Positive = Field(20, description="DDPM steps of a sample")
    guidance_scale: float = Field(3.0, ge=0, description="classifier-free guidance weight (paper: 30)")
    guidance_stop: float = Field(0.65, gt=0, le=1, description="share of the noise schedule, from its noisy end, that is guided (paper: 1); see evaluation.guidance_stop")
    dynamic_thresholding: bool = Field(False, description="Imagen's dynamic thresholding of x_0 (pixel bases only); the paper's large guidance needs it, weak guidance loses contrast by it")
    samples_per_prompt: Positive = Field(1, description="samples drawn for each prompt")
    shards: Positive = Field(4, description="jobs; a subject's shard is a stable hash of its id")
    experts_at_once: Positive | Literal["auto"] = Field("auto", description="experts that share a forward pass of the base; auto: as many as free memory allows and the hardware gains from")
    micro_batch: Positive | Literal["auto"] = Field("auto", description="images of one expert in a pass; gradients of a step's passes are summed, so it changes memory and not the expert; auto: all of a step, fewer where free memory does not hold them")
    keep: bool = Field(False, description="keep the experts' weights below RESULTS/experts/kept (they are discarded otherwise): a LoRA file that diffusers loads, or a UNet folder")


class Filtering(Section):
    """Scores of the samples, and G: those whose score exceeds lambda (Eq. 6)."""

    encoder: str = Field("open_clip:local-dir:resources/models/clip", description="CLIP that scores samples; needs both towers")
    scores: list[ScoreName] = Field(default_factory=lambda: ["delta_clip"], description="scores that every sample gets, each a function of SCORES in suti/filtering.py: delta_clip (Eq. 6), image_similarity (mean cosine to the demonstrations)")
    score: ScoreName = Field("delta_clip", description="the score that lambda cuts; a member of scores (paper: delta_clip)")
    grid: list[Lambda] = Field(
        default_factory=lambda: ["none", "q0.4"],
        description="lambdas of the ablation: none (all samples), a raw cosine such as 0 (better than every demonstration) or 0.02, or qX: the X quantile of this run's own scores (the paper keeps 28 %: q0.72)",
    )
    default: Lambda = Field("q0.4", description="the lambda of the main results; a member of grid")
    controls: list[Control] = Field(default_factory=list, description="apprentices beside the curve, which decide no claim: random (a random subset of all samples, as large as G at the default lambda), copies (planted copies of the pages' own pictures), copies-filtered (the same after the cut at the default lambda's threshold)")
    planted_share: float = Field(0.72, gt=0, lt=1, description="share of the samples that the controls of copies replace by a picture of their own page (the paper's filter drops 72 %)")

    @field_validator("scores")
    @classmethod
    def _scores(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value) or not value:
            raise ValueError(f"scores: {value}, expected at least one score, each once")
        return value

    @field_validator("grid")
    @classmethod
    def _grid(cls, value: list[str]) -> list[str]:
        if len({parse_lambda(item) for item in value}) != len(value) or not value:
            raise ValueError(f"grid: {value}, expected at least one lambda, each once")
        return value

    @field_validator("controls")
    @classmethod
    def _controls(cls, value: list[Control]) -> list[Control]:
        if len(set(value)) != len(value):
            raise ValueError(f"controls: {value}, expected each control once")
        return value

    @model_validator(mode="after")
    def _default_in_grid(self, info: ValidationInfo) -> Filtering:
        if not _partial(info) and self.default not in self.grid:
            raise ValueError(f"default: {self.default!r} is not in grid {self.grid}; add it there")
        if not _partial(info) and self.score not in self.scores:
            raise ValueError(f"score: {self.score!r} is not in scores {self.scores}; add it there")
        return self


# Settings of the apprentice that say how it is computed, not what: they change its weights by rounding at most.
APPRENTICE_COMPUTING = (
    "checkpoint_every", "keep_checkpoints", "sample_every", "processes", "gradient_accumulation",
    "gradient_checkpointing", "loader_workers",
)


class Apprentice(Section):
    """The apprentice: Eq. 5, trained on G."""

    steps: Positive = Field(260, description="optimiser steps (paper: 150,000)")
    subjects_per_batch: Positive = Field(8, description="subjects a step; their demonstrations are encoded once")
    targets_per_subject: Positive = Field(4, description="samples a subject and step that share the demonstrations")
    demonstrations: Positive = Field(3, description="demonstrations a subject in training")
    learning_rate: float = Field(4e-4, gt=0, description="Adafactor rate of the layers that come from the base (paper: 1e-4)")
    new_layer_learning_rate: float = Field(2e-3, gt=0, description="Adafactor rate of the new attention layers")
    momentum: Fraction = Field(0.9, description="Adafactor's first moment; small batches need it, the paper's large ones do not (paper: 0)")
    class_noun_share: Fraction = Field(0.5, description="probability that a subject's texts of a step name it by its class noun alone, as the benchmark's prompts do, instead of by its description")
    drop_text: Fraction = Field(0.05, description="probability of dropping the text of a target, for guidance")
    drop_demonstrations: Fraction = Field(0.05, description="probability of dropping the demonstrations of a target")
    drop_both: Fraction = Field(0.08, description="probability of dropping both")
    timestep_power: float = Field(0.5, gt=0, description="timesteps are 1000 u^power, u uniform: below 1 favours high noise (paper: 1)")
    initialization: Literal["self_attention", "zero", "random"] = Field("self_attention", description="start of the new layers: queries, keys and values of the base's self-attention and output zero; random and output zero; or all random (paper). The first two start as the base exactly")
    ema_decay: Fraction = Field(0.99, description="decay of the averaged weights that are saved")
    warmup_steps: int = Field(50, ge=0, description="linear warm-up of the rates")
    validation_share: float = Field(0.0, ge=0, le=0.5, description="share of G's subjects that is not trained on but shown in the training's sheets and validation losses; 0: those show subjects of the training")
    checkpoint_every: Positive = Field(200, description="steps between checkpoints, from which a killed run resumes exactly")
    keep_checkpoints: Positive = Field(2, description="newest checkpoints kept; a run whose newest is damaged goes on from the one before")
    sample_every: Natural = Field(200, description="steps between validations and sheets of samples, and once at the end (0: never); they change no weights")
    processes: Positive = Field(1, description="processes on this machine, one a GPU, that share the subjects of a step")
    gradient_accumulation: Positive = Field(1, description="parts, one after the other, into which a process splits its subjects of a step; saves memory, same result up to rounding")
    gradient_checkpointing: bool = Field(False, description="compute activations again in the backward pass: less memory, more time, same gradients")
    loader_workers: Natural = Field(1, description="threads of a process that read and decode the next steps' pictures ahead (0: none)")
    trainings: Positive = Field(2, description="trainings of an apprentice, alike but for their random draws; the intervals then tell how far figures differ from training to training")
    trained_again: list[Lambda] | None = Field(default_factory=lambda: ["none", "q0.4"], description="members of filtering.grid whose apprentices are trained `trainings` times, the others once; what is not in the grid counts for nothing; null: all of them")

    @model_validator(mode="after")
    def _parts(self, info: ValidationInfo) -> Apprentice:
        parts = self.processes * self.gradient_accumulation
        if not _partial(info) and parts > self.subjects_per_batch:
            raise ValueError(f"processes * gradient_accumulation: {parts}, expected at most subjects_per_batch ({self.subjects_per_batch}), as a subject is not split")
        return self

    @model_validator(mode="after")
    def _drops(self, info: ValidationInfo) -> Apprentice:
        total = self.drop_text + self.drop_demonstrations + self.drop_both
        if not _partial(info) and total > 1:
            raise ValueError(f"drop_text + drop_demonstrations + drop_both: {total:g}, expected at most 1")
        return self


if TYPE_CHECKING:
    SystemName = str
else:
    SystemName = Literal[tuple(SYSTEMS)]


class BaselineSystems(Section):
    """The systems that SuTI is compared with (docs/baselines.md); each has its own settings below its name."""

    systems: list[SystemName] = Field(default_factory=lambda: ["dreambooth", "dream-suti", "re-imagen"], description="systems of Tables 1 to 3 that are run, beside base and SuTI; rows of the others stay empty. The claims need dreambooth and dream-suti")

    @field_validator("systems")
    @classmethod
    def _systems(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError(f"systems: {value}, expected each system once")
        return value


if TYPE_CHECKING:
    Baselines = BaselineSystems
else:  # one field a section of the registry, so that a new system is named there and nowhere else
    Baselines = create_model(
        "Baselines",
        __base__=BaselineSystems,
        __doc__=BaselineSystems.__doc__,
        **{name: (settings, settings()) for name, settings in sections().items()},
    )


CSV_BENCHMARKS = ("csv", "dreambench-v2")  # their prompts are the CSV evaluation.prompts


class Evaluation(Section):
    """Benchmarks and metrics."""

    benchmark: Literal["dreambench", "dreambench-v2", "world", "folders", "csv"] = Field("world", description="world: unseen rendered subjects; dreambench: a clone of google/dreambooth; folders: one folder of pictures a subject with class names from folder names; csv: such folders and the prompts of evaluation.prompts; dreambench-v2: the same, with DreamBench's photos")
    path: str = Field("", description="the clone or its `dataset` folder, or the folder of subject folders (unused for world)")
    prompts: str = Field("", description="CSV with columns subject, class, prompt, for the benchmarks csv and dreambench-v2 (`suti prompts` writes such files)")
    subjects: Positive = Field(24, description="benchmark subjects used, in order")
    main_subjects: Positive | None = Field(None, description="of these, how many are asked all of prompts_per_subject, the first ones; the others are asked the curves' ablation_prompts_per_subject only, which makes the curves' intervals narrow at little cost; null: all")
    baseline_subjects: Positive | None = Field(12, description="of these, how many baselines.systems draw, the first ones; null: all")
    prompts_per_subject: Positive = Field(10, description="prompts a subject for base, SuTI and real images, spread evenly over the templates")
    compositional_prompts_per_subject: Natural = Field(4, description="prompts a subject of the second list, which ask for one to three things as DreamBench-v2's do; the curves, Tables 2 and 3 are on these. The world has them; photos bring theirs by evaluation.prompts")
    ablation_prompts_per_subject: Positive = Field(4, description="prompts a subject for the lambda and demonstration curves: of the compositional list, or of the templates where the benchmark has no such list")
    baseline_prompts_per_subject: Positive | None = Field(None, description="prompts a subject of each list for baselines.systems; null: as many as for the curves")
    trained_prompts_per_subject: Positive = Field(2, description="most prompts a subject for systems that train for every prompt (Imagic)")
    images_per_prompt: Positive = Field(1, description="pictures a prompt (paper: 4)")
    demonstrations: Positive = Field(4, description="demonstrations at inference (paper: 4)")
    demonstration_grid: list[Natural] = Field(default_factory=lambda: [0, 1, 2, 4], description="numbers of demonstrations of the curve (Fig. 6)")
    num_inference_steps: Positive = Field(16, description="DDPM steps")
    guidance_scale: float = Field(2.0, ge=0, description="guidance weight of text for base and DreamBooth, of text and demonstrations together for SuTI (paper: 15)")
    demonstration_guidance_scale: float | None = Field(4.0, ge=0, description="guidance weight of the demonstrations by themselves, at half as much time again; guidance_scale is then the text's alone. null: one weight for both")
    guidance_stop: float = Field(0.65, gt=0, le=1, description="share of the noise schedule, from its noisy end, that is guided; at low noise guidance adds little, and without it a step takes one pass. 1: all steps (paper)")
    dynamic_thresholding: bool = Field(False, description="Imagen's dynamic thresholding of x_0 (pixel bases only); the paper's large guidance needs it, weak guidance loses contrast by it")
    encoders: dict[Metric, EncoderSpec] = Field(
        default_factory=lambda: dict(_ENCODERS),
        description="encoder of each metric: dino, clip_i, clip_t and, where one is named, dinov2; null leaves the metric out, and its column stays empty",
    )
    probe: str | None = Field("resources/models/probe", description="probe networks that know the world's truth, or null where there is no truth")
    bootstrap: Positive = Field(1000, description="bootstrap resamples over subjects for the 95 % intervals")

    @field_validator("encoders", mode="before")
    @classmethod
    def _encoders(cls, value: Any) -> Any:
        """Drop metrics set to null: overlays are merged into the default, so a key can be emptied but not removed."""
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else value


class TrainModels(Section):
    """Training of the shipped models (`make models`). Steps at the given batch sizes."""

    vae_steps: Positive = Field(4000, description="autoencoder of the base: steps at batch 24")
    go_on: bool = Field(False, description="train the shipped base further, in its own autoencoder's latents, instead of a new one")
    base_steps: Positive = Field(20000, description="text-to-image UNet: optimiser steps")
    base_batch_size: Positive = Field(48, description="images a step")
    base_learning_rate: float = Field(1e-3, gt=0, description="peak rate of Muon and AdamW")
    compile: bool = Field(True, description="torch.compile autoencoder and text-to-image UNet (needs a C++ compiler)")
    super_resolution_steps: Positive = Field(2600, description="super-resolution UNet: steps at batch 16")
    clip_steps: Positive = Field(1100, description="CLIP: steps at batch 128")
    captioner_steps: Positive = Field(1000, description="captioner: steps at batch 64")
    dino_steps: Positive = Field(700, description="DINO-like encoder: steps at batch 128")
    probe_steps: Positive = Field(1350, description="probe networks: steps at batch 128")


class Config(Section):
    """Open SuTI reproduction: one configuration for the whole workflow."""

    seed: int = Field(0, ge=0, description="root of every random draw")
    results: str = Field("results", description="folder of all artifacts")
    compute: Compute = Compute()
    models: Models = Models()
    pages: Pages = Pages()
    world: World = World()
    mining: Mining = Mining()
    captions: Captions = Captions()
    language: Language = Language()
    experts: Experts = Experts()
    filtering: Filtering = Filtering()
    apprentice: Apprentice = Apprentice()
    baselines: Baselines = Baselines()
    evaluation: Evaluation = Evaluation()
    train_models: TrainModels = TrainModels()

    @model_validator(mode="after")
    def _pages_have_a_path(self, info: ValidationInfo) -> Config:
        if _partial(info):
            return self
        if self.pages.format != "world" and not self.pages.path:
            raise ValueError(f"pages.path: empty, but pages.format is {self.pages.format!r}; name the files or folders to read")
        if self.evaluation.benchmark != "world" and not self.evaluation.path:
            raise ValueError(f"evaluation.path: empty, but evaluation.benchmark is {self.evaluation.benchmark!r}; name the folder")
        if self.evaluation.benchmark in CSV_BENCHMARKS and not self.evaluation.prompts:
            raise ValueError(f"evaluation.prompts: empty, but evaluation.benchmark is {self.evaluation.benchmark!r}; name the CSV, or take the benchmark folders")
        return self
