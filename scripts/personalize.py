"""Draw the benchmark with one of the systems that SuTI is compared with (suti/baselines/systems.py lists them).

    python scripts/personalize.py --method dreambooth --cache results/baselines/cache ...
    python scripts/personalize.py --method dream-suti --model results/apprentice/q0.4 --cache ...

A subject that is done is kept in the cache under its content address, so a killed run goes on where it was.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from suti.baselines.systems import SYSTEMS
from suti.compute import precision, prepare
from suti.digests import code_digest, model_digest
from suti.generation.files import drawing_parser, read_benchmark, sampling_settings, write_generations
from suti.generation.finished import draw_all
from suti.models.base import load_base

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    arguments = drawing_parser(__doc__)
    arguments.add_argument("--method", required=True, choices=list(SYSTEMS))
    arguments.add_argument(
        "--model", metavar="FOLDER", help="what a system that does not start from the base starts from"
    )
    args = arguments.parse_args()
    system = SYSTEMS[args.method]
    if system.starts_from != "base" and not args.model:
        arguments.error(
            f"--model: {system.name} starts from a model of its own ({system.starts_from}); name its folder"
        )
    s = args.settings
    device = prepare(s.compute)
    module = system.load()
    settings = getattr(module, f"{system.method}_settings")(s)
    draw = getattr(module, f"draw_{system.method}")
    sampling = sampling_settings(s)
    start_from = args.model or s["models.base"]
    context = {
        "method": args.method, "seed": s.seed, "model": model_digest(start_from), "settings": asdict(settings),
        "sampling": asdict(sampling), "precision": precision(s.compute, device),
        "code": [code_digest(__file__, ROOT), code_digest(system.source, ROOT)],
    }  # fmt: skip
    subjects = read_benchmark(
        args.subjects, args.prompts, args.demonstrations, args.images, args.prompts_per_subject, args.first
    )
    if system.starts_from == "base":
        base = load_base(s["models.base"])
    else:
        base = getattr(module, f"load_{system.method}")(args.model)
    base.to(device)
    drawn = draw_all(
        subjects, lambda subject: draw(base, subject, settings, sampling, s.compute, s.seed), context, args.cache,
        args.method,
    )  # fmt: skip
    conditions = {"optimisation_steps": settings.steps, "threads": s.compute.threads, "device": device.type}
    write_generations(args.method, drawn, args.generations, args.images_out, args.timing, **conditions)


if __name__ == "__main__":
    main()
