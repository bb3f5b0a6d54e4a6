# Captions (section 4): what a captioner says of every picture of every kept cluster.


use rule gpu_program as caption_images with:
    input:
        model_files(CONFIG.models.captioner),
        members=f"{R}/mining/members-{{part}}.parquet",
        images=f"{R}/pages/images-{{part}}.tar",
    output:
        captions=f"{R}/captions/captions-{{part}}.parquet",
    priority: 20
    params:
        **call("caption_images", settings("captions", "models.captioner", "compute")),
    message:
        "Captions, part {wildcards.part}"
