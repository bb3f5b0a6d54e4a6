# Mining (section 4): from web pages to clusters of pictures of one subject.
#
# Pages are dealt to parts by a hash of their URL. Each is judged by itself, so another number of parts gives the same
# clusters. What every picture and every page came to is in the tables; what came of them in all, in the report.


rule render_pages:
    output:
        pages=expand(f"{R}/world/pages-{{part}}.tar", part=PARTS),
        truth=f"{R}/world/truth.parquet",
    log:
        f"{R}/logs/render_pages.log",
    benchmark:
        f"{R}/benchmarks/render_pages.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        settings=settings("seed", "world", "pages.parts"),
        code=code_digest("scripts/render_pages.py"),
    message:
        "Rendering the world's web pages"
    shell:
        "python scripts/render_pages.py --settings {params.settings:q}"
        " --pages {output.pages} --truth {output.truth} 2>&1 | tee {log}"


WORLD = CONFIG.pages.format == "world"


rule ingest_pages:
    input:
        source=(
            f"{R}/world/pages-{{part}}.tar" if WORLD else lambda wildcards: source_files(int(wildcards.part))
        ),
    output:
        pages=f"{R}/pages/pages-{{part}}.parquet",
        images=f"{R}/pages/images-{{part}}.tar",
    log:
        f"{R}/logs/ingest_pages/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/ingest_pages/{{part}}.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        settings=settings("pages"),
        code=code_digest("scripts/ingest_pages.py"),
        # The world's pages are dealt already; elsewhere the script walks pages.path, whose files may be very many.
        source=(lambda wildcards, input: f"--source {input.source}") if WORLD else "",
    message:
        "Reading pages, part {wildcards.part}"
    shell:
        "python scripts/ingest_pages.py --settings {params.settings:q} --part {wildcards.part} {params.source}"
        " --pages {output.pages} --images {output.images} 2>&1 | tee {log}"


rule mine_clusters:
    input:
        pages=f"{R}/pages/pages-{{part}}.parquet",
        images=f"{R}/pages/images-{{part}}.tar",
        encoder=model_files(CONFIG.mining.encoder),
    output:
        clusters=f"{R}/mining/clusters-{{part}}.parquet",
        members=f"{R}/mining/members-{{part}}.parquet",
    log:
        f"{R}/logs/mine_clusters/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/mine_clusters/{{part}}.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=1440,
    params:
        settings=settings("mining", "compute"),
        code=code_digest("scripts/mine_clusters.py"),
    message:
        "Clusters of one subject, part {wildcards.part}"
    shell:
        "python scripts/mine_clusters.py --settings {params.settings:q} --pages {input.pages} --images {input.images}"
        " --clusters {output.clusters} --members {output.members} 2>&1 | tee {log}"


rule report_mining:
    input:
        clusters=expand(f"{R}/mining/clusters-{{part}}.parquet", part=PARTS),
        pages=expand(f"{R}/pages/pages-{{part}}.parquet", part=PARTS),
        truth=f"{R}/world/truth.parquet" if WORLD else [],
    output:
        report=f"{R}/mining/report.json",
        figure=report(
            f"{R}/figures/similarity.png",
            caption="../report/similarity.rst",
            category="Mining",
            labels={"figure": "Similarity of each page's pictures, and the band"},
        ),
        table=f"{R}/figures/similarity.csv",
    log:
        f"{R}/logs/report_mining.log",
    benchmark:
        f"{R}/benchmarks/report_mining.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=settings("mining.similarity"),
        code=code_digest("scripts/report_mining.py"),
        clusters=lambda wildcards, input: braces(input.clusters),
        pages=lambda wildcards, input: braces(input.pages),
        truth=lambda wildcards, input: f"--truth {input.truth}" if input.truth else "",
    message:
        "What mining kept and why it dropped the rest"
    shell:
        "python scripts/report_mining.py --settings {params.settings:q} --clusters {params.clusters}"
        " --pages {params.pages} {params.truth} --report {output.report} --figure {output.figure}"
        " --table {output.table} 2>&1 | tee {log}"
