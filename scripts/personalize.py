"""Draw the benchmark with one of the systems that SuTI is compared with (suti/baselines/systems.py lists them).

    python scripts/personalize.py --method imagic --module suti.baselines.imagic \\
        --reads baselines.imagic.steps ... experts.frozen --cache results/baselines/cache ...
    python scripts/personalize.py --method dream-suti --model results/apprentice/q0.4 ...

A subject that is done is kept in the cache under its content address, so a killed run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from suti.baselines.method import load_method
from suti.cli.arguments import drawing_parser
from suti.compute import precision, prepare
from suti.digests import code_digest, model_digest
from suti.generation.draw import BenchmarkSubject, Drawn
from suti.generation.files import read_benchmark, sampling_settings, write_generations
from suti.generation.finished import draw_all
from suti.models.base import load_base

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    arguments = drawing_parser(__doc__)
    # What the list of systems says of this one. The list itself is no part of this program, so that a new entry does
    # not draw the other systems again.
    arguments.add_argument("--method", required=True, metavar="NAME", help="name of the system")
    arguments.add_argument("--module", required=True, help="module of its method (System.module)")
    arguments.add_argument("--reads", nargs="*", default=[], metavar="KEY", help="settings it draws by (System.reads)")
    arguments.add_argument(
        "--model", metavar="FOLDER", help="what a system that does not start from the base starts from"
    )
    args = arguments.parse_args()
    method = load_method(args.method, args.module)
    if method.load is not None and not args.model:
        arguments.error(f"--model: {args.method} starts from a model of its own; name its folder")
    s = args.settings
    device = prepare(s.compute)
    settings = method.settings_of({name: s[name] for name in args.reads})
    sampling = sampling_settings(s)
    start_from = args.model or s["models.base"]
    context = {
        "method": args.method, "seed": s.seed, "model": model_digest(start_from), "settings": asdict(settings),
        "sampling": asdict(sampling), "precision": precision(s.compute, device),
        "code": [code_digest(__file__, ROOT), code_digest(f"{args.module.replace('.', '/')}.py", ROOT)],
    }  # fmt: skip
    subjects = read_benchmark(
        args.subjects, args.prompts, args.demonstrations, args.images, args.templates, args.compositional, args.first
    )
    base = (load_base(s["models.base"]) if method.load is None else method.load(args.model)).to(device)

    def draw(group: Sequence[BenchmarkSubject]) -> list[Drawn]:
        return [method.draw(base, subject, settings, sampling, s.compute, s.seed) for subject in group]

    drawn = draw_all([[subject] for subject in subjects], draw, context, args.cache, args.method)
    conditions = {"optimisation_steps": settings.steps, "threads": s.compute.threads, "device": device.type}
    write_generations(args.method, drawn, args.generations, args.images_out, args.timing, **conditions)


if __name__ == "__main__":
    main()
