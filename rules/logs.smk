# Every rule's log and benchmark: logs/RULE.log and benchmarks/RULE.tsv, or with wildcards logs/RULE/WILDCARDS.log.
# A base rule cannot say this, as Snakemake has no placeholder for the name of the rule that inherits.

for job in workflow.rules:
    if not job.norun:
        names = sorted(set(job.wildcard_names) - {"training"}, reverse=True)
        wildcards_of_job = "-".join(f"{{{name}}}" for name in names)
        if "training" in job.wildcard_names:  # '' or '-t2': it has a dash of its own
            wildcards_of_job += "{training}"
        place = f"{job.name}/{wildcards_of_job}" if wildcards_of_job else job.name
        job.log_modifier = job.benchmark_modifier = workflow.modifier.path_modifier
        job.set_log(f"{R}/logs/{place}.log")
        job.benchmark = f"{R}/benchmarks/{place}.tsv"
