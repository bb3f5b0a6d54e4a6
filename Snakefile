# Open reproduction of SuTI (arXiv 2304.00186): from web pages to Table 1.
#
#   snakemake --profile profiles/default                                                    the embedded default
#   snakemake --profile profiles/default --configfile config.yaml configs/sd15.yaml         an overlay
#   snakemake --profile profiles/default experts                                            up to one chapter
#
# Each chapter below is a file of rules/ and, in method, a module of suti/. docs/workflow.md says what reruns when.

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/program.smk"
include: "rules/models.smk"
include: "rules/download.smk"
include: "rules/mining.smk"
include: "rules/captions.smk"
include: "rules/prompts.smk"
include: "rules/experts.smk"
include: "rules/filtering.smk"
include: "rules/controls.smk"
include: "rules/apprentice.smk"
include: "rules/baselines.smk"
include: "rules/editing.smk"
include: "rules/evaluation.smk"
include: "rules/ablations.smk"
include: "rules/figures.smk"
include: "rules/claims.smk"
include: "rules/logs.smk"
include: "rules/guards.smk"


localrules:
    all,
    mining,
    captions,
    prompts,
    experts,
    scores,
    filtered,
    controls,
    apprentice,
    evaluation,
    figures,
    claims,


rule mining:
    input:
        expand(f"{R}/mining/{{table}}-{{part}}.parquet", table=["clusters", "members"], part=PARTS),
        f"{R}/mining/report.json",
        f"{R}/figures/similarity.png",


rule captions:
    input:
        expand(f"{R}/captions/captions-{{part}}.parquet", part=PARTS),


rule prompts:
    input:
        expand(f"{R}/subjects/{{table}}-{{part}}.parquet", table=["subjects", "texts"], part=PARTS),
        expand(f"{R}/prompts/prompts-{{part}}.parquet", part=PARTS),
        f"{R}/language/report.json",


rule experts:
    input:
        expand(f"{R}/experts/samples-{{shard}}.{{kind}}", shard=SHARDS, kind=["tar", "parquet"]),


rule scores:
    input:
        expand(f"{R}/scores/{{score}}.parquet", score=CONFIG.filtering.scores),
        f"{R}/scores/truth-{CONFIG.filtering.score}.parquet" if WORLD else [],


rule filtered:
    input:
        expand(f"{R}/filtered/{{lam}}.parquet", lam=[*LAMBDAS, *CONTROLS]),


rule controls:
    input:
        PLANTED.values(),
        JUDGED_COPIES if JUDGED else [],


rule apprentice:
    input:
        expand(f"{R}/apprentice/{{model}}/model_index.json", model=APPRENTICES),


rule evaluation:
    input:
        expand(f"{R}/metrics/{{run}}.{{kind}}", run=RUNS, kind=["parquet", "json"]),
        [JUDGED, f"{R}/metrics/{runs.EXPERTS}.json"] if JUDGED else [],


rule figures:
    input:
        TABLES,
        FIGURES,


rule claims:
    input:
        CLAIMS,


rule all:
    default_target: True
    input:
        rules.mining.input,
        rules.prompts.input,
        rules.experts.input,
        rules.scores.input,
        rules.filtered.input,
        rules.apprentice.input,
        rules.evaluation.input,
        rules.figures.input,
        rules.claims.input,
