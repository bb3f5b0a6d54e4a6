# What the chapters share: the validated configuration, the lists that make the jobs, and `call`, by which a rule calls
# its program. rules/program.smk shows how a rule reads.

import json
import os
import sys
from functools import cache
from os import environ
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)

# Scripts and this file import suti from this checkout, never from another one that happens to be installed.
sys.path.insert(0, str(ROOT))
environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT), *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))]
)
# `python` in a shell command is the interpreter that runs Snakemake, also when its environment is not activated.
environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads would fight for the job's cores

from suti import digests, runs
from suti.baselines.systems import SYSTEMS
from suti.config.load import ConfigError, lookup, validate_config
from suti.config.schema import APPRENTICE_COMPUTING, CSV_BENCHMARKS
from suti.diffusion.settings import Sampling
from suti.io.braces import braces
from suti.runs import Run

try:
    CONFIG = validate_config(config, workflow.configfiles)
except ConfigError as error:
    raise WorkflowError(str(error)) from None
R = CONFIG.results

PARTS = range(CONFIG.pages.parts)
# Shards of experts: experts.shards in all, rounded up to the same number for each part.
NUMBERS = range(-(-CONFIG.experts.shards // CONFIG.pages.parts))
SHARDS = range(len(PARTS) * len(NUMBERS))
LAMBDAS = CONFIG.filtering.grid
LAMBDA = CONFIG.filtering.default
CONTROLS = CONFIG.filtering.controls  # each stands where a lambda stands, and decides no claim

# Runs of the evaluation (`real` is no system: its pictures are the benchmark's own).
DEMONSTRATIONS = CONFIG.evaluation.demonstrations
SUTI = str(Run.suti(LAMBDA, DEMONSTRATIONS))


def trainings(lam: str) -> range:
    """Numbers of the trainings of the apprentice of a lambda, from 1; of what is no member of the grid there is one."""
    chosen = CONFIG.apprentice
    again = LAMBDAS if chosen.trained_again is None else chosen.trained_again
    return range(1, (chosen.trainings if lam in again else 1) + 1)


def all_trainings(lam: str, k: int) -> list[str]:
    """Runs of SuTI at a lambda with k demonstrations, one a training."""
    return [str(Run.suti(lam, k, training)) for training in trainings(lam)]


LAMBDA_RUNS = [run for lam in LAMBDAS for run in all_trainings(lam, DEMONSTRATIONS)]
DEMONSTRATION_RUNS = [run for k in CONFIG.evaluation.demonstration_grid for run in all_trainings(LAMBDA, k)]
CONTROL_RUNS = [str(Run.suti(control, DEMONSTRATIONS)) for control in CONTROLS]
SUTI_RUNS = all_trainings(LAMBDA, DEMONSTRATIONS)
APPRENTICES = [
    f"{lam}{runs.training_suffix(training)}" for lam in [*LAMBDAS, *CONTROLS] for training in trainings(lam)
]
MAIN_RUNS = ["real", "base", *SUTI_RUNS]
BASELINE_RUNS = CONFIG.baselines.systems
RUNS = list(dict.fromkeys([*MAIN_RUNS, *BASELINE_RUNS, *LAMBDA_RUNS, *CONTROL_RUNS, *DEMONSTRATION_RUNS]))
PHOTO_BENCHMARK = CONFIG.evaluation.benchmark != "world"

# Where pages are rendered, the truth of every page is known, and a probe judges the experts' samples too.
WORLD = CONFIG.pages.format == "world"
PAGE_TRUTH = {
    "truth": f"{R}/world/truth.parquet",
    "subjects": expand(f"{R}/subjects/subjects-{{part}}.parquet", part=PARTS),
}
JUDGED = f"{R}/metrics/{runs.EXPERTS}.parquet" if WORLD and CONFIG.evaluation.probe else []

# What every run draws from, and the settings by which it draws.
BENCHMARK = {
    "subjects": f"{R}/benchmark/subjects.parquet",
    "prompts": f"{R}/benchmark/prompts.parquet",
    "demonstrations": f"{R}/benchmark/demonstrations.parquet",
    "images": f"{R}/benchmark/images.tar",
}
SAMPLING = [f"evaluation.{name}" for name in Sampling.names()]


wildcard_constraints:
    part=r"\d+",
    number=r"\d+",
    shard=r"\d+",
    lam=runs.TRAINED_ON,
    training=runs.TRAINING,
    k=r"\d+",
    run=runs.PATTERN,
    system="|".join(SYSTEMS),


# Settings that say how a job computes, not what: the script gets them, Snakemake's records leave them out.
UNRECORDED = (
    "compute.threads",
    "compute.device",
    "compute.compile",
    "experts.keep",
    "experts.experts_at_once",
    "experts.micro_batch",
    "language.concurrency",
    "language.patience",
    "language.max_fallback_share",
    *(f"apprentice.{name}" for name in APPRENTICE_COMPUTING),
)


class Recorded(str):
    """Text for a command line whose ``repr``, which Snakemake records and compares, leaves out ``UNRECORDED``."""

    record: str

    def __repr__(self) -> str:
        return self.record


def without(value, name: str, names: tuple[str, ...]):
    """``value``, which stands at ``name``, less the dotted names below it."""
    if not isinstance(value, dict):
        return value
    return {
        key: without(item, f"{name}.{key}", names)
        for key, item in value.items()
        if f"{name}.{key}" not in names
    }


class Selection(NamedTuple):
    """Settings that a rule passes on, as dotted names, and names below them that it leaves out."""

    names: tuple[str, ...]
    exclude: tuple[str, ...]


def settings(*names: str, exclude: tuple[str, ...] | list[str] = ()) -> Selection:
    """The option ``--settings JSON``, for ``call``: ``settings("seed", "experts")``.

    Names are dotted paths into the configuration; ``exclude`` takes dotted names away again, so that a rule reruns
    for no setting that its script does not read.
    """
    return Selection(names, tuple(exclude))


@cache
def settings_option(selection: Selection, code: tuple[str, ...]) -> Recorded:
    """``--settings JSON``, compact and with sorted keys.

    Of a section only those settings are passed that the code could read, by their names (``digests.names``). So a
    setting more is no change for a rule until its code reads it. What is left out stands under ``without``, and a script
    that reads one of these all the same fails, and gets no default in its stand.
    """
    readable = frozenset().union(*(names_in(path) for path in code))
    left_out = (*selection.exclude, *(name for key in selection.names for name in unread(key, readable)))
    for name in left_out:
        lookup(CONFIG, name)  # an unknown name is an error here too
    passed = {name: without(lookup(CONFIG, name), name, left_out) for name in selection.names}
    recorded = {
        name: without(value, name, UNRECORDED) for name, value in passed.items() if name not in UNRECORDED
    }
    if left_out:
        passed["without"] = sorted(set(left_out))
    option = Recorded(f"--settings {quote(compact(passed))}")
    option.record = compact(recorded)
    return option


def unread(key: str, names: frozenset[str]) -> list[str]:
    """Dotted names of the settings of a section that have none of these names; none for a single setting."""
    section = CONFIG
    for part in key.split("."):
        section = getattr(section, part)
    fields = {f"{key}.{field}": field in names for field in getattr(type(section), "model_fields", ())}
    below = [name for field, is_read in fields.items() if is_read for name in unread(field, names)]
    return [*(field for field, is_read in fields.items() if not is_read), *below]


def compact(value) -> str:
    """JSON in one line, keys sorted."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# What every rule runs that calls a program of scripts/. The params are those of `call`.
COMMAND = "python {params.script} {params.settings} {params.options} {params.files} 2>&1 | tee {log:q}"


def call(script: str, settings=None, by_name=None, **options) -> dict:
    """The params by which a rule calls ``scripts/SCRIPT.py``.

    Args:
        script: name of the program.
        settings: what ``settings(...)`` returns, or any function from wildcards to it; None: it reads none.
        by_name: a function from wildcards to the path of a module that the program imports by name.
        options: what else it gets. A text may hold wildcards (``run="suti-{lam}-k{k}"``), a function gets them, a
            list is several words, None is left out. Snakemake records them, as they depend on no file.

    Returns:
        ``script``, ``settings``, ``code`` and ``options``, which Snakemake records and compares, and ``files``: one
        option for each named input and output, which it records as files.

    Raises:
        WorkflowError: an input and an output of one name, which would be one option (when the job is planned).
    """
    path = f"scripts/{script}.py"

    def options_of(wildcards):
        values = {name: value(wildcards) if callable(value) else value for name, value in options.items()}
        return command_line(
            {
                name: value.format(**dict(wildcards.items())) if isinstance(value, str) else value
                for name, value in values.items()
            }
        )

    def files(wildcards, input, output):
        read, written = dict(input.items()), dict(output.items())
        if twice := read.keys() & written.keys():
            raise WorkflowError(
                f"{path}: an input and an output are named {min(twice)}; rename one, and its option"
            )
        return command_line({**read, **written})

    def code(wildcards) -> tuple[str, ...]:
        return (path, by_name(wildcards)) if by_name else (path,)

    def passed(wildcards):
        selection = settings(wildcards) if callable(settings) else settings
        return settings_option(selection, code(wildcards))

    return {
        "script": path,
        "settings": passed if settings else "",
        "code": lambda wildcards: " ".join(map(code_digest, code(wildcards))),
        "options": options_of,
        "files": files,
    }


def command_line(options: dict) -> str:
    """``--name word`` for each option, quoted; a list is several words; empty lists and None are left out."""
    words = []
    for name, value in options.items():
        values = [value] if isinstance(value, (str, int, float)) else list(value or [])
        if values:
            words += [f"--{name.replace('_', '-')}", braces(values)]
    return " ".join(words)


def gpus(count: int = 1) -> dict:
    """Resources of a job whose program holds a model: so many GPUs, none where ``compute.device`` is cpu."""
    return {"gpu": count} if count and CONFIG.compute.device != "cpu" else {}


@cache
def code_digest(script: str) -> str:
    """Hash of a script's code and of what it imports from suti that can change its result; ``call`` makes it a param."""
    return digests.code_digest(script, ROOT)


@cache
def names_in(script: str) -> frozenset[str]:
    """Names by which a script, or what it imports from suti, could read a setting."""
    return digests.names(script, ROOT)


@cache
def model_files(spec: str | None) -> list[str]:
    """Files of a local model folder as inputs; none for a hub id. An encoder's prefix may stand before the folder."""
    return digests.model_files(spec)


@cache
def source_files(part: int) -> list[str]:
    """Files that a part of the pages is read from: those of ``pages.path``, folders searched at any depth.

    A path with ``{part}``, e.g. ``pages-{part:05d}.parquet``, names one file a part, which a rule may make.
    """
    found = []
    for path in CONFIG.pages.path:
        if "{part" in path:
            found.append(path.format(part=int(part)))
        elif Path(path).is_dir():
            found += files_below(path)
        else:
            found.append(path)
    return found


@cache
def files_below(folder: str) -> list[str]:
    """Files of a folder at any depth, sorted; hidden ones and links to folders are left out."""
    return sorted(
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".")
        and not any(part.startswith(".") for part in Path(place).parts if part != "..")
    )


def expert_inputs(name: str, shard: int | str) -> str:
    """A shard's input file, e.g. ``images.tar``. Shards are numbered through the parts, so many for each."""
    part, number = divmod(int(shard), len(NUMBERS))
    return f"{R}/experts/inputs/{part}/{number}/{name}"


def asked(run: str) -> dict[str, int]:
    """Prompts a subject of both lists: all for the main runs, some of them (whose pictures are the same) for the others.

    The curves are on compositional prompts, as the paper's are, where the benchmark has them.
    """
    chosen = CONFIG.evaluation
    listed = 0 if PHOTO_BENCHMARK else chosen.compositional_prompts_per_subject
    if run in MAIN_RUNS:
        return {"templates": chosen.prompts_per_subject, "compositional": listed}
    count = chosen.ablation_prompts_per_subject
    if run not in SYSTEMS:
        return {"templates": 0 if listed else count, "compositional": min(count, listed)}
    count = chosen.baseline_prompts_per_subject or count
    if SYSTEMS[run].trains_per_prompt:
        count = min(count, chosen.trained_prompts_per_subject)
        return {"templates": 0 if listed else count, "compositional": min(count, listed)}
    return {"templates": count, "compositional": min(count, listed)}


def drawn_alone(run: str) -> int:
    """Subjects that a run draws by themselves, for their seconds: those that fine-tuned systems are compared on."""
    if run not in MAIN_RUNS:
        return 0
    chosen = CONFIG.evaluation
    return chosen.subjects if chosen.baseline_subjects is None else chosen.baseline_subjects


def starting_model(name: str) -> str | None:
    """Folder of the model that a system starts from, if it is not the base."""
    if SYSTEMS[name].starts_from == "base":
        return None
    return (
        f"{R}/apprentice/{LAMBDA}" if SYSTEMS[name].starts_from == "apprentice" else f"{R}/baselines/{name}"
    )


def pipeline_files(folder: str | None) -> list[str]:
    """Files that a training rule of this workflow leaves in a model folder and that tell of any change of it."""
    return (
        [f"{folder}/model_index.json", f"{folder}/unet/diffusion_pytorch_model.safetensors"] if folder else []
    )


def trained(name: str) -> list[str]:
    """Files of a model of ``MODELS`` (rules/models.smk) below the results folder."""
    return [f"{R}/models/{name}/{file}" for file in [*MODELS[name], "provenance.json"]]


def photo_files() -> list[str]:
    """Files that a benchmark of photos is read from; none for the world, which is rendered."""
    if not PHOTO_BENCHMARK:
        return []
    beside = Path(CONFIG.evaluation.path).parent / "prompts_and_classes.txt"
    templates = [str(beside)] if CONFIG.evaluation.benchmark == "dreambench" and beside.is_file() else []
    prompts = [CONFIG.evaluation.prompts] if CONFIG.evaluation.benchmark in CSV_BENCHMARKS else []
    return files_below(CONFIG.evaluation.path) + templates + prompts


def generations(run: str) -> dict[str, str]:
    """Table and image shard of a run; those of the real pictures belong to the benchmark."""
    if run == "real":
        return {"generations": f"{R}/benchmark/targets.parquet", "images": f"{R}/benchmark/targets.tar"}
    return {"generations": f"{R}/generations/{run}.parquet", "images": f"{R}/generations/{run}.tar"}


def drawn(run: str) -> dict[str, str]:
    """Outputs of a run: its table, its image shard and its seconds."""
    return {
        "generations": f"{R}/generations/{run}.parquet",
        "images_out": f"{R}/generations/{run}.tar",
        "timing": f"{R}/generations/{run}.timing.json",
    }


def trained_samples(lam: str) -> list[str]:
    """Tables of the samples that an apprentice is trained on, at a lambda or as a control."""
    return [PLANTED["planted"]] if lam.startswith("copies") else SAMPLES


def trained_pictures(lam: str) -> list[str]:
    """Shards of their pictures."""
    return [*PICTURES, PLANTED["pictures"]] if lam.startswith("copies") else PICTURES


def judge(sheet: str) -> str | None:
    """The probe, for a sheet that shows its limits."""
    return CONFIG.evaluation.probe if sheet == "failures" else None
