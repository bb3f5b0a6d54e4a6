# Scores of the experts' samples, delta-CLIP the first (Eq. 6), and G: those whose score exceeds lambda (section 4.1).
#
# Samples are embedded once, a shard a job; every score is a function of the embeddings and a file of its own, and G at
# a lambda an index into one of them. So another encoder trains no expert, another score embeds nothing, and another
# lambda scores nothing.

from suti.filtering import SCORES

for name in CONFIG.filtering.scores:
    if name not in SCORES:
        raise WorkflowError(
            f"filtering.scores: {name!r} is no function of SCORES (suti/filtering.py); expected {', '.join(SCORES)}"
        )
SAMPLES = expand(f"{R}/experts/samples-{{shard}}.parquet", shard=SHARDS)
PICTURES = expand(f"{R}/experts/samples-{{shard}}.tar", shard=SHARDS)
SCORED = f"{R}/scores/{CONFIG.filtering.score}.parquet"  # what lambda cuts


use rule gpu_program as embed_samples with:
    input:
        model_files(CONFIG.filtering.encoder),
        samples=f"{R}/experts/samples-{{shard}}.parquet",
        pictures=f"{R}/experts/samples-{{shard}}.tar",
        demonstrations=lambda wildcards: expert_inputs("demonstrations.parquet", wildcards.shard),
        images=lambda wildcards: expert_inputs("images.tar", wildcards.shard),
    output:
        embeddings=f"{R}/scores/embeddings-{{shard}}.safetensors",
    priority: 20
    params:
        **call("embed_samples", settings("compute", "filtering.encoder", exclude=["compute.precision"])),
    message:
        "Embedding the samples of shard {wildcards.shard}"


use rule program as score_samples with:
    input:
        samples=SAMPLES,
        embeddings=expand(f"{R}/scores/embeddings-{{shard}}.safetensors", shard=SHARDS),
    output:
        scores=f"{R}/scores/{{score}}.parquet",
    wildcard_constraints:
        score="|".join(CONFIG.filtering.scores),
    priority: 20
    params:
        **call("score_samples", score="{score}"),
    message:
        "Scoring all samples: {wildcards.score}"


# What the true pictures of the samples' prompts would score: the world alone knows these.
use rule gpu_program as score_truth with:
    input:
        model_files(CONFIG.filtering.encoder),
        **PAGE_TRUTH,
        samples=SAMPLES,
        pictures=PICTURES,
        embeddings=expand(f"{R}/scores/embeddings-{{shard}}.safetensors", shard=SHARDS),
    output:
        scores=f"{R}/scores/truth-{{score}}.parquet",
    wildcard_constraints:
        score="|".join(CONFIG.filtering.scores),
    priority: 20
    params:
        **call(
            "score_truth",
            settings("seed", "compute", "filtering.encoder", exclude=["compute.precision"]),
            score="{score}",
        ),
    message:
        "Scoring the true pictures of all samples: {wildcards.score}"


use rule program as filter_samples with:
    input:
        scores=SCORED,
        prompts=expand(f"{R}/prompts/prompts-{{part}}.parquet", part=PARTS),
        truth_scores=f"{R}/scores/truth-{CONFIG.filtering.score}.parquet" if WORLD else [],
    output:
        filtered=f"{R}/filtered/{{lam}}.parquet",
        report=f"{R}/filtered/{{lam}}.json",
    wildcard_constraints:
        lam=runs.LAMBDA,
    priority: 20
    params:
        **call("filter_samples", lambda_name="{lam}"),
    message:
        "G at lambda {wildcards.lam}"
