# Subjects and unseen prompts (section 4): an LLM, or the grammar in its stead, reads all (alt-text, caption) pairs of a
# cluster, names its subject, and writes prompts that no picture of the cluster shows.

LANGUAGE_MODEL = model_files(CONFIG.language.model) if CONFIG.language.backend == "transformers" else []


rule refine_subjects:
    input:
        captions=f"{R}/captions/captions-{{part}}.parquet",
        vocabulary="resources/language/grammar.yaml",
        model=LANGUAGE_MODEL,
    output:
        subjects=f"{R}/subjects/subjects-{{part}}.parquet",
        texts=f"{R}/subjects/texts-{{part}}.parquet",
        log=f"{R}/subjects/log-{{part}}.json",
    log:
        f"{R}/logs/refine_subjects/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/refine_subjects/{{part}}.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=1440,
    params:
        settings=settings(
            "seed",
            "language",
            "compute",
            exclude=["language.prompts_per_subject", "language.skills"],
        ),
        code=code_digest("scripts/refine_subjects.py"),
    message:
        "Subjects and refined captions, part {wildcards.part}"
    shell:
        "python scripts/refine_subjects.py --settings {params.settings:q} --captions {input.captions}"
        " --vocabulary {input.vocabulary} --subjects {output.subjects} --texts {output.texts}"
        " --log {output.log} 2>&1 | tee {log}"


rule write_prompts:
    input:
        subjects=f"{R}/subjects/subjects-{{part}}.parquet",
        captions=f"{R}/captions/captions-{{part}}.parquet",
        texts=f"{R}/subjects/texts-{{part}}.parquet",
        vocabulary="resources/language/grammar.yaml",
        model=LANGUAGE_MODEL,
    output:
        prompts=f"{R}/prompts/prompts-{{part}}.parquet",
        log=f"{R}/prompts/log-{{part}}.json",
    log:
        f"{R}/logs/write_prompts/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/write_prompts/{{part}}.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=1440,
    params:
        settings=settings("seed", "language", "compute"),
        code=code_digest("scripts/write_prompts.py"),
    message:
        "Unseen prompts, part {wildcards.part}"
    shell:
        "python scripts/write_prompts.py --settings {params.settings:q} --subjects {input.subjects}"
        " --captions {input.captions} --texts {input.texts} --vocabulary {input.vocabulary}"
        " --prompts {output.prompts} --log {output.log} 2>&1 | tee {log}"


rule report_language:
    input:
        subjects=expand(f"{R}/subjects/log-{{part}}.json", part=PARTS),
        prompts=expand(f"{R}/prompts/log-{{part}}.json", part=PARTS),
    output:
        report=f"{R}/language/report.json",
    log:
        f"{R}/logs/report_language.log",
    benchmark:
        f"{R}/benchmarks/report_language.tsv"
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=60,
    params:
        code=code_digest("scripts/report_language.py"),
        subjects=lambda wildcards, input: braces(input.subjects),
        prompts=lambda wildcards, input: braces(input.prompts),
    message:
        "How many answers of the language stage were usable"
    shell:
        "python scripts/report_language.py --subjects {params.subjects} --prompts {params.prompts}"
        " --report {output.report} 2>&1 | tee {log}"
