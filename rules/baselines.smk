# What SuTI is compared with: the base on text alone, and the systems of suti/baselines/systems.py.


use rule gpu_program as generate_base with:
    input:
        model_files(CONFIG.models.base),
        **BENCHMARK,
    output:
        **drawn("base"),
    priority: 5
    params:
        **call(
            "generate",
            settings("seed", "compute", "models.base", *SAMPLING),
            run="base",
            **asked("base"),
            alone=drawn_alone("base"),
            cache=f"{R}/generations/cache",
        ),
    message:
        "The base draws the benchmark from text alone"


# One rule for all: a system's entry says which settings and which code it reads, so a change of one reruns no other.
use rule gpu_program as personalize with:
    input:
        model_files(CONFIG.models.base),
        lambda wildcards: pipeline_files(starting_model(wildcards.system)),
        **BENCHMARK,
    output:
        **drawn("{system}"),
    priority: 5
    params:
        **call(
            "personalize",
            lambda wildcards: settings(
                "seed", "compute", "models.base", *SYSTEMS[wildcards.system].reads, *SAMPLING
            ),
            by_name=lambda wildcards: SYSTEMS[wildcards.system].source,
            method="{system}",
            module=lambda wildcards: SYSTEMS[wildcards.system].module,
            reads=lambda wildcards: SYSTEMS[wildcards.system].reads,
            model=lambda wildcards: starting_model(wildcards.system),
            templates=lambda wildcards: asked(wildcards.system)["templates"],
            compositional=lambda wildcards: asked(wildcards.system)["compositional"],
            first=CONFIG.evaluation.baseline_subjects,
            cache=f"{R}/baselines/cache",
        ),
    message:
        "{wildcards.system} draws the benchmark"


# What Re-Imagen learns from: to each picture of a cluster the nearest pictures of other pages.
use rule gpu_program as retrieve_neighbours with:
    input:
        model_files(CONFIG.mining.encoder),
        demonstrations=TRAINING_SET["demonstrations"],
        images=TRAINING_SET["images"],
    output:
        neighbours=f"{R}/baselines/neighbours.parquet",
    priority: 10
    params:
        **call(
            "retrieve_neighbours",
            settings(
                "compute",
                "mining.encoder",
                "mining.batch_size",
                "apprentice.demonstrations",
                exclude=["compute.precision"],
            ),
        ),
    message:
        "The nearest pictures of other pages"


# The apprentice's network and training without experts. Re-Imagen's demonstrations are neighbours of other pages, those
# of clusters the other pictures of the page.
WITHOUT_EXPERTS = {"re-imagen": "neighbours", "clusters": "clusters"}
OWN_STEPS = {name: getattr(CONFIG.baselines, SYSTEMS[name].section).steps for name in WITHOUT_EXPERTS}


use rule gpu_program as train_without_experts with:
    input:
        model_files(CONFIG.models.base),
        **TRAINING_SET,
        neighbours=lambda wildcards: (
            f"{R}/baselines/neighbours.parquet" if WITHOUT_EXPERTS[wildcards.taught] == "neighbours" else []
        ),
    output:
        pipeline_files(f"{R}/baselines/{{taught}}"),
        f"{R}/baselines/{{taught}}/loss.csv",
    wildcard_constraints:
        taught="|".join(WITHOUT_EXPERTS),
    priority: 10
    threads: CONFIG.compute.threads * CONFIG.apprentice.processes
    resources:
        **gpus(CONFIG.apprentice.processes),
        runtime=4320,
    params:
        **call(
            "train_apprentice",
            lambda wildcards: settings(
                "seed",
                "compute",
                "models.base",
                "apprentice",
                exclude=["apprentice.steps"] if OWN_STEPS[wildcards.taught] is not None else [],
            ),
            training_set=lambda wildcards: WITHOUT_EXPERTS[wildcards.taught],
            steps=lambda wildcards: OWN_STEPS[wildcards.taught],
            out_dir=f"{R}/baselines/{{taught}}",
            checkpoints=f"{R}/baselines/.checkpoints/{{taught}}",
        ),
    message:
        "{wildcards.taught}: the apprentice's network, trained without experts"
