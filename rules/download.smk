# Pages from the web, for configurations whose pages.path holds {part}: a file of URLs becomes a tar of pictures.
#
# The list is HuggingFaceM4/OBELICS, of which any other parquet in that layout can take the place; put it below
# data/obelics/index yourself and nothing is fetched. img2dataset comes from envs/download.yaml (it cannot share an
# environment with the workflow).

import re

DOWNLOADS = [re.sub(r"\{part[^}]*\}", "{page_file}", path) for path in CONFIG.pages.path if "{part" in path]


wildcard_constraints:
    page_file=r"\d+",


if DOWNLOADS:

    rule fetch_index:
        output:
            "data/obelics/index/{page_file}.parquet",
        conda:
            "../envs/suti.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=60,
            downloads=1,
        params:
            name=lambda wildcards: f"data/train-{int(wildcards.page_file):05d}-of-01335.parquet",
        message:
            "Fetching file {wildcards.page_file} of the list of pages"
        shell:
            "hf download HuggingFaceM4/OBELICS {params.name} --repo-type dataset --local-dir {output}.download 2>&1"
            " | tee {log:q} && mv {output}.download/{params.name} {output} && rm -r {output}.download"

    use rule program as list_urls with:
        input:
            index="data/obelics/index/{page_file}.parquet",
        output:
            urls="data/obelics/urls/{page_file}.parquet",
        resources:
            mem_mb=4000,
            runtime=30,
        params:
            **call("list_urls"),
        message:
            "Listing the picture addresses of file {wildcards.page_file}"

    rule fetch_pictures:
        input:
            urls="data/obelics/urls/{page_file}.parquet",
        output:
            DOWNLOADS[0],
        conda:
            "../envs/download.yaml"
        threads: 8
        resources:
            mem_mb=16000,
            runtime=720,
            downloads=1,
        params:
            size=4 * CONFIG.pages.image_size,  # a margin for cropping; ingest reduces to the size itself
        message:
            "Fetching the pictures of file {wildcards.page_file}"
        shell:
            "rm -rf {output}.download &&"
            " conda run -n suti-download img2dataset --url_list {input.urls} --input_format parquet"
            " --url_col url --output_format webdataset --output_folder {output}.download"
            """ --save_additional_columns '["page_url","alt_text"]' --number_sample_per_shard 100000000"""
            " --resize_mode keep_ratio --image_size {params.size} --resize_only_if_bigger True"
            " --processes_count {threads} --disallowed_header_directives"
            """ '["noai","noimageai","noindex","noimageindex"]' 2>&1 | tee {log:q}"""
            " && mv {output}.download/00000.tar {output} && rm -r {output}.download"
