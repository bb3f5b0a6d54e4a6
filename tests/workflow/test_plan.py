"""The workflow as a plan: its style, and the size of the paper's graph."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.workflow

CHAPTERS = (
    "mining", "captions", "prompts", "experts", "scores", "filtered", "controls", "apprentice", "evaluation",
    "figures", "claims",
)  # fmt: skip
MEASURED = """
import json, resource, sys
from snakemake.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    status = end.code
use = resource.getrusage(resource.RUSAGE_SELF)
seconds = use.ru_utime + use.ru_stime
print(json.dumps({"status": status or 0, "seconds": seconds, "megabytes": use.ru_maxrss / 1024}))
"""


def test_paper_plans_in_two_gigabytes(fresh: Callable) -> None:
    """2M pairs in 5,000 shards. docs/workflow.md has the seconds; a busy machine shall not fail the test."""
    checkout = fresh("paper")
    (checkout.path / "data/dreambooth/dataset/dog").mkdir(parents=True)  # the plan asks that it is there
    options = ("--workflow-profile", "profiles/default", "--dry-run", "--quiet", "host")
    overlays = ("--configfile", "config.yaml", "configs/paper.yaml")
    done = checkout.call(sys.executable, "-c", MEASURED, *options, *overlays)
    used = json.loads(done.splitlines()[-1])
    print(used)
    assert used["status"] == 0, done[-3000:]
    assert re.search(r"^train_experts +5000$", done, re.MULTILINE)
    assert used["megabytes"] < 2000, used


def test_lint_finds_nothing(fresh: Callable) -> None:
    checkout = fresh("lint")
    assert "Congratulations" in checkout.call("snakemake", "--lint")


def test_formatted(fresh: Callable) -> None:
    checkout = fresh("format")
    checkout.call("snakefmt", "--check", "Snakefile", "rules")


def test_what_is_not_there_is_named_before_a_job_starts(fresh: Callable) -> None:
    checkout = fresh("absent")
    checkout.configure({"models": {"base": "resources/models/bsae"}, "mining": {"encoder": "clip"}})
    output = checkout.refused()
    assert "models.base: 'resources/models/bsae': no such folder; did you mean resources/models/base?" in output
    assert "mining.encoder: 'clip': no encoder of a known form; write open_clip:MODEL/PRETRAINED" in output
    shutil.rmtree(checkout.path / "resources" / "models")
    checkout.configure({"models": {"base": "resources/models/base"}, "mining": {"encoder": "transformers:a/b"}})
    assert "or train the small models with `make models`" in checkout.refused()
    assert checkout.planned("models")["train_base"] == 1


def test_docs_name_every_rule_that_runs_code(fresh: Callable) -> None:
    checkout = fresh("rules")
    page = re.findall(r"^Rules: (.*)$", (checkout.path / "docs" / "code.md").read_text(), re.MULTILINE)
    named = {rule for line in page for rule in line.split(", ")}
    lines = checkout.call("snakemake", "--list-rules").splitlines()
    rules = {line for line in lines if line and " " not in line}
    targets = {"all", *CHAPTERS, "train_models", "program", "gpu_program"}
    assert named - {"list_urls"} == rules - targets  # the rule of downloads is there where a path holds {part}


def test_typo_in_the_configuration_is_named_with_its_remedy(fresh: Callable) -> None:
    checkout = fresh("typo")
    checkout.configure({"experts": {"stepz": 3}})
    output = checkout.refused()
    assert "config.yaml" in output and "experts.stepz: unknown; did you mean experts.steps" in output
    assert "Traceback" not in output and not (checkout.path / "results").exists()


HOLD_A_MODEL = {
    "mine_clusters", "caption_images", "train_experts", "train_apprentice", "train_without_experts",
    "train_instruct_pix2pix", "retrieve_neighbours",
    "make_instruction_pairs", "generate_base", "generate_suti", "personalize", "evaluate", "embed_samples", "train_vae",
    "train_base", "train_clip", "train_captioner", "train_dino", "train_probe", "train_super_resolution",
    "report_models", "score_truth", "judge_experts", "judge_copies",
}  # fmt: skip
TELL = """
print("RULES " + json.dumps({
    made.name: {"gpu": "gpu" in made.resources, "log": str(made.log), "benchmark": str(made.benchmark)}
    for made in workflow.rules if not made.norun and made.output
}))
"""


def rules(checkout) -> dict[str, dict]:
    """What each rule that makes something came to: whether it asks for a GPU, its log, its benchmark."""
    with open(checkout.path / "Snakefile", "a") as file:
        file.write(TELL)
    return json.loads(re.search(r"^RULES (.+)$", checkout.snakemake("--list-rules"), re.MULTILINE)[1])


@pytest.mark.parametrize(
    ("overlay", "wanted"),
    [
        ({}, HOLD_A_MODEL),
        (
            {"language": {"backend": "transformers", "model": "resources/models/captioner"}},
            HOLD_A_MODEL | {"refine_subjects", "write_prompts"},
        ),
        ({"compute": {"device": "cpu"}}, set()),
    ],
    ids=["grammar", "local_llm", "cpu"],
)
def test_a_rule_asks_for_a_gpu_if_its_program_holds_a_model(fresh: Callable, overlay: dict, wanted: set) -> None:
    checkout = fresh("gpus")
    checkout.configure(overlay)
    assert {name for name, rule in rules(checkout).items() if rule["gpu"]} == wanted


def test_log_and_benchmark_have_the_name_of_the_rule_and_its_wildcards(fresh: Callable) -> None:
    found = rules(fresh("logs"))
    assert len(found) > 30
    for name, rule in found.items():
        assert re.fullmatch(rf"results/logs/{name}(/[^/]+)?\.log", rule["log"]), rule
        assert re.fullmatch(rf"results/benchmarks/{name}(/[^/]+)?\.tsv", rule["benchmark"]), rule
    assert re.fullmatch(r"results/logs/generate_suti/{lam,.+}-{k,.+}{training,.*}\.log", found["generate_suti"]["log"])


def test_names_of_a_rule_are_the_options_of_its_program(fresh: Callable) -> None:
    checkout = fresh("options")
    checkout.configure({"results": "my results", "pages": {"parts": 12}})
    plan = checkout.snakemake("-n", "-p")
    report, evaluate = (
        re.search(rf"^Shell command: (python scripts/{name}\.py .+)$", plan, re.MULTILINE)[1]
        for name in ("report_mining", "evaluate")
    )
    assert " --clusters 'my results/mining/clusters-'{0..11}.parquet --pages " in report
    assert report.endswith("| tee 'my results/logs/report_mining.log'")
    words = shlex.split(evaluate)
    assert words[2] == "--settings" and "evaluation.probe" in json.loads(words[3])
    run = words[words.index("--run") + 1]
    assert words[words.index("--metrics") + 1] == f"my results/metrics/{run}.parquet"
    assert not any(word.endswith(".safetensors") for word in words)  # models are watched, not passed
    checkout.snakemake("my results/world/truth.parquet")
    assert len(list((checkout.path / "my results" / "world").glob("pages-*.tar"))) == 12
