# Tables 1 to 3 with the published numbers beside ours, and the sheets of samples (Figs. 1 and 4 to 9).

# What each table compares. SuTI with no demonstration is there if the demonstration curve starts at 0.
TABLE_RUNS = {
    "table1": ["real", "base", *BASELINE_RUNS, *SUTI_RUNS],
    "table2": ["real", "base", *BASELINE_RUNS, *SUTI_RUNS],
    "table3": [*(run for run in BASELINE_RUNS if run in ("dreambooth", "dream-suti")), *SUTI_RUNS],
    "differences": ["real", "base", *BASELINE_RUNS, *SUTI_RUNS],
    "copies": ["real", "base", *BASELINE_RUNS, SUTI],
}
WITHOUT_DEMONSTRATIONS = str(Run.suti(LAMBDA, 0))
if WITHOUT_DEMONSTRATIONS in RUNS and WITHOUT_DEMONSTRATIONS != SUTI:
    TABLE_RUNS["differences"] += all_trainings(LAMBDA, 0)

# What each sheet shows, in the order of its columns. Photos have no true picture of a prompt, nor compositional prompts.
SHEET_RUNS = {
    "skills": [SUTI],
    "comparison": [
        *([] if PHOTO_BENCHMARK else ["real"]),
        "base",
        *(run for run in BASELINE_RUNS if run != "dream-suti"),
        SUTI,
        *(run for run in BASELINE_RUNS if run == "dream-suti"),
    ],
    "compositional": [SUTI],
    # The first training of each: a sheet compares lambdas and not trainings.
    "lambda": [run for run in LAMBDA_RUNS if Run.parse(run).training == 1],
    "demonstrations": [run for run in DEMONSTRATION_RUNS if Run.parse(run).training == 1],
    "failures": [SUTI],
    "dream_suti": [SUTI, "dream-suti"],
}
if PHOTO_BENCHMARK:
    del SHEET_RUNS["compositional"]
if "dream-suti" not in BASELINE_RUNS or not CONFIG.evaluation.probe:
    del SHEET_RUNS["dream_suti"]  # the judge says who fails

# Whose metrics a sheet reads. What is a copy, the real pictures tell.
SHEET_METRICS = {"failures": [SUTI, "real"], "dream_suti": [SUTI, "dream-suti"]}


# What the report's menu calls them.
TITLES = {
    "table1": "Table 1: similarity to subject and prompt",
    "table2": "Table 2: subject, text, realism, seconds",
    "table3": "Table 3: fine-tuning the apprentice",
    "differences": "Paired differences between systems",
    "copies": "Copies and diversity",
    "skills": "SuTI by skill (Fig. 4)",
    "comparison": "All systems side by side (Figs. 7, 8)",
    "compositional": "Prompts that ask for more and more",
    "lambda": "By lambda",
    "demonstrations": "By number of demonstrations",
    "failures": "Where SuTI fails",
    "dream_suti": "Where SuTI fails and Dream-SuTI does not (Fig. 7)",
}

EXPERT_SHARDS = SHARDS[:4]  # enough for a sheet, however many there are

TABLES = expand(f"{R}/tables/{{table}}.{{kind}}", table=TABLE_RUNS, kind=["csv", "png", "tex"])
FIGURES = expand(
    f"{R}/figures/{{name}}.{{kind}}",
    name=[
        "similarity",
        "delta_histogram",
        "lambda_curve",
        "demonstration_curve",
        *(f"samples_{sheet}" for sheet in SHEET_RUNS),
        "samples_experts",
        *(["filter_gain"] if JUDGED else []),
    ],
    kind=["png", "csv"],
)


use rule program as make_table with:
    input:
        metrics=lambda wildcards: expand(f"{R}/metrics/{{run}}.parquet", run=TABLE_RUNS[wildcards.table]),
        summary=f"{R}/metrics/{SUTI}.json",
        # Seconds stand in Table 2 only, so that equal seeds give equal tables elsewhere.
        timings=lambda wildcards: (
            [f"{R}/generations/{run}.timing.json" for run in ["base", *BASELINE_RUNS, SUTI]]
            if wildcards.table == "table2"
            else []
        ),
    output:
        csv=f"{R}/tables/{{table}}.csv",
        png=report(
            f"{R}/tables/{{table}}.png",
            caption="../report/table.rst",
            category="Tables",
            labels=lambda wildcards: {"table": TITLES[wildcards.table]},
        ),
        tex=f"{R}/tables/{{table}}.tex",
    wildcard_constraints:
        table="|".join(TABLE_RUNS),
    params:
        **call(
            "make_tables",
            settings("seed", "evaluation.bootstrap", "evaluation.benchmark"),
            table="{table}",
            suti_run=SUTI,
        ),
    message:
        "Table: {wildcards.table}"


use rule program as plot_samples with:
    input:
        BENCHMARK.values(),
        lambda wildcards: model_files(judge(wildcards.sheet)),
        generations=lambda wildcards: [generations(run)["generations"] for run in SHEET_RUNS[wildcards.sheet]],
        images=lambda wildcards: [generations(run)["images"] for run in SHEET_RUNS[wildcards.sheet]],
        metrics=lambda wildcards: expand(
            f"{R}/metrics/{{run}}.parquet", run=SHEET_METRICS.get(wildcards.sheet, [])
        ),
    output:
        png=report(
            f"{R}/figures/samples_{{sheet}}.png",
            caption="../report/samples.rst",
            category="Samples",
            labels=lambda wildcards: {"sheet": TITLES[wildcards.sheet]},
        ),
        csv=f"{R}/figures/samples_{{sheet}}.csv",
    wildcard_constraints:
        sheet="|".join(SHEET_RUNS),
    params:
        **call(
            "plot_samples",
            kind="{sheet}",
            benchmark=f"{R}/benchmark",
            runs=lambda wildcards: SHEET_RUNS[wildcards.sheet],
            probe=lambda wildcards: judge(wildcards.sheet),
        ),
    message:
        "Sheet of samples: {wildcards.sheet}"


use rule program as plot_experts with:
    input:
        model_files(CONFIG.evaluation.probe) if JUDGED else [],
        scores=SCORED,
        samples=expand(f"{R}/experts/samples-{{shard}}.parquet", shard=EXPERT_SHARDS),
        pictures=expand(f"{R}/experts/samples-{{shard}}.tar", shard=EXPERT_SHARDS),
        report=f"{R}/filtered/{LAMBDA}.json",
        prompts=expand(f"{R}/prompts/prompts-{{part}}.parquet", part=PARTS),
        metrics=JUDGED,
        inputs=[expert_inputs("demonstrations.parquet", shard) for shard in EXPERT_SHARDS],
        input_images=[expert_inputs("images.tar", shard) for shard in EXPERT_SHARDS],
    output:
        png=report(
            f"{R}/figures/samples_experts.png",
            caption="../report/samples_experts.rst",
            category="Samples",
            labels={"sheet": "What experts drew and what the filter kept (Eq. 6)"},
        ),
        csv=f"{R}/figures/samples_experts.csv",
    params:
        **call(
            "plot_samples",
            settings("filtering.score"),
            kind="experts",
            probe=CONFIG.evaluation.probe if JUDGED else None,
        ),
    message:
        "Sheet of samples: what the experts drew, and what delta-CLIP kept"
