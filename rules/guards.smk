# Before a run: name what the configuration names and is not there, free the lock of a run that was killed, and refuse
# results of unknown origin.

import fcntl
from base64 import urlsafe_b64encode
from shutil import rmtree

from suti.config.plan import check_plan

if workflow.is_main_process and not {"--lint", "--report", "--unlock"}.intersection(sys.argv):
    try:
        training = not {"models", "train_models"}.isdisjoint(sys.argv)
        check_plan(CONFIG, config, workflow.configfiles, training)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


def free_stale_lock() -> None:
    """Remove Snakemake's lock if the process that set it is gone (a killed one leaves it behind).

    A lock of the operating system, which ends with its process, tells: whoever gets it is alone. It is kept open for
    as long as this process lives. Where the file system knows no such locks, `snakemake --unlock` does it by hand.
    """
    try:
        Path(".snakemake").mkdir(exist_ok=True)
        handle = os.open(".snakemake/suti.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # another run is alive: Snakemake says so itself
    rmtree(".snakemake/locks", ignore_errors=True)


def unrecorded_results() -> list[str]:
    """Models, samples and scores that are there but that Snakemake has no record of, so that it would take them as they are.

    That happens when `.snakemake` was deleted or not copied along. What a killed job left counts as recorded:
    Snakemake makes it anew.
    """
    expected = [f"{R}/apprentice/{name}/unet/diffusion_pytorch_model.safetensors" for name in APPRENTICES]
    expected += [f"{R}/experts/samples-{shard}.tar" for shard in SHARDS]
    expected += [f"{R}/scores/{name}.parquet" for name in CONFIG.filtering.scores]
    expected += [file for name in BASELINE_RUNS for file in pipeline_files(starting_model(name))[1:]]
    missing = []
    for path in filter(os.path.exists, expected):
        code = urlsafe_b64encode(path.encode()).decode()
        name = [code[i : i + 254] for i in range(0, len(code), 254)]
        record = os.path.join(*(f"@{part}" for part in name[:-1]), name[-1])
        if not any(os.path.exists(f".snakemake/{kind}/{record}") for kind in ("metadata", "incomplete")):
            missing.append(path)
    return missing


if workflow.is_main_process and not {"--touch", "-t"}.intersection(sys.argv):
    if not {"-n", "--dry-run", "--dryrun", "--lint", "--report"}.intersection(sys.argv):
        free_stale_lock()
    if unrecorded := unrecorded_results():
        raise WorkflowError(
            f"{unrecorded[0]}: no record of how it was made ({len(unrecorded)} such files), so nobody can tell whether "
            "it fits the configuration.\n"
            f"Remedy: get the records (dvc pull), or delete {R}, or, if you know that all of it was made by this very "
            "code and configuration, write the records anew: snakemake --touch --forceall"
        )
