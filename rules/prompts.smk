# Subjects and unseen prompts (section 4): an LLM, or the grammar in its stead, reads all (alt-text, caption) pairs of a
# cluster, names its subject, and writes prompts that no picture of the cluster shows.

LOCAL_LLM = CONFIG.language.backend == "transformers"
LANGUAGE_MODEL = model_files(CONFIG.language.model) if LOCAL_LLM else []


use rule program as refine_subjects with:
    input:
        LANGUAGE_MODEL,
        captions=f"{R}/captions/captions-{{part}}.parquet",
        vocabulary="resources/language/grammar.yaml",
    output:
        subjects=f"{R}/subjects/subjects-{{part}}.parquet",
        texts=f"{R}/subjects/texts-{{part}}.parquet",
        log=f"{R}/subjects/log-{{part}}.json",
    priority: 20
    threads: CONFIG.compute.threads
    resources:
        **gpus(1 if LOCAL_LLM else 0),
    params:
        **call(
            "refine_subjects",
            settings(
                "seed", "language", "compute", exclude=["language.prompts_per_subject", "language.skills"]
            ),
            answers=f"{R}/subjects/answers/{{part}}.jsonl",
        ),
    message:
        "Subjects and refined captions, part {wildcards.part}"


use rule program as write_prompts with:
    input:
        LANGUAGE_MODEL,
        subjects=f"{R}/subjects/subjects-{{part}}.parquet",
        captions=f"{R}/captions/captions-{{part}}.parquet",
        texts=f"{R}/subjects/texts-{{part}}.parquet",
        vocabulary="resources/language/grammar.yaml",
    output:
        prompts=f"{R}/prompts/prompts-{{part}}.parquet",
        log=f"{R}/prompts/log-{{part}}.json",
    priority: 20
    threads: CONFIG.compute.threads
    resources:
        **gpus(1 if LOCAL_LLM else 0),
    params:
        **call(
            "write_prompts",
            settings("seed", "language", "compute"),
            answers=f"{R}/prompts/answers/{{part}}.jsonl",
        ),
    message:
        "Unseen prompts, part {wildcards.part}"


use rule program as report_language with:
    input:
        subjects=expand(f"{R}/subjects/log-{{part}}.json", part=PARTS),
        prompts=expand(f"{R}/prompts/log-{{part}}.json", part=PARTS),
    output:
        report=f"{R}/language/report.json",
    params:
        **call("report_language"),
    message:
        "How many answers of the language stage were usable"
