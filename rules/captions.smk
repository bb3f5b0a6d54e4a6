# Captions (section 4): what a captioner says of every picture of every kept cluster.


rule caption_images:
    input:
        members=f"{R}/mining/members-{{part}}.parquet",
        images=f"{R}/pages/images-{{part}}.tar",
        captioner=model_files(CONFIG.models.captioner),
    output:
        captions=f"{R}/captions/captions-{{part}}.parquet",
    log:
        f"{R}/logs/caption_images/{{part}}.log",
    benchmark:
        f"{R}/benchmarks/caption_images/{{part}}.tsv"
    priority: 20  # the way to the apprentices, the longest jobs: first in line
    conda:
        "../envs/suti.yaml"
    threads: CONFIG.compute.threads
    resources:
        mem_mb=2500,
        runtime=1440,
    params:
        settings=settings("captions", "models.captioner", "compute"),
        code=code_digest("scripts/caption_images.py"),
    message:
        "Captions, part {wildcards.part}"
    shell:
        "python scripts/caption_images.py --settings {params.settings:q} --members {input.members}"
        " --images {input.images} --captions {output.captions} 2>&1 | tee {log}"
