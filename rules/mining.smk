# Mining (section 4): from web pages to clusters of pictures of one subject.
#
# Pages are dealt to parts by a hash of their URL. Each is judged by itself, so another number of parts gives the same
# clusters. What every picture and every page came to is in the tables; what came of them in all, in the report.

RENDERED = f"{R}/world/pages-{{part}}.tar"


use rule program as render_pages with:
    output:
        pages=expand(RENDERED, part=PARTS),
        truth=f"{R}/world/truth.parquet",
    priority: 20
    params:
        **call("render_pages", settings("seed", "world", "pages.parts")),
    message:
        "Rendering the world's web pages"


# The world's pages are dealt already; elsewhere the script walks pages.path, whose files may be very many.
use rule program as ingest_pages with:
    input:
        RENDERED if WORLD else lambda wildcards: source_files(int(wildcards.part)),
    output:
        pages=f"{R}/pages/pages-{{part}}.parquet",
        images=f"{R}/pages/images-{{part}}.tar",
    priority: 20
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        **call("ingest_pages", settings("pages"), part="{part}", source=RENDERED if WORLD else None),
    message:
        "Reading pages, part {wildcards.part}"


use rule gpu_program as mine_clusters with:
    input:
        model_files(CONFIG.mining.encoder),
        pages=f"{R}/pages/pages-{{part}}.parquet",
        images=f"{R}/pages/images-{{part}}.tar",
    output:
        clusters=f"{R}/mining/clusters-{{part}}.parquet",
        members=f"{R}/mining/members-{{part}}.parquet",
    priority: 20
    params:
        **call("mine_clusters", settings("mining", "compute")),
    message:
        "Clusters of one subject, part {wildcards.part}"


use rule program as report_mining with:
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
    priority: 20
    params:
        **call("report_mining", settings("mining.similarity")),
    message:
        "What mining kept and why it dropped the rest"
