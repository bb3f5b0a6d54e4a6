"""Draw the benchmark with the base (text alone) or with SuTI (k demonstrations); no fine-tuning.

    python scripts/generate.py --run suti-q0.4-k4 --model results/apprentice/q0.4 --demonstrations-per-subject 4 ...

A subject that is done is kept in the cache under its content address, so a killed run goes on where it was.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from suti.cli.arguments import drawing_parser
from suti.compute import precision, prepare
from suti.digests import code_digest, model_digest
from suti.generation.draw import draw_suti_together, groups_of
from suti.generation.files import read_benchmark, sampling_settings, write_generations
from suti.generation.finished import draw_all
from suti.io.model_specs import check_model_spec
from suti.models.base import load_base
from suti.models.pipeline import SuTIPipeline

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    arguments = drawing_parser(__doc__)
    arguments.add_argument("--run", required=True, help="name of the run, e.g. base or suti-q0.4-k4")
    arguments.add_argument("--model", metavar="FOLDER", help="the apprentice; left out: the base of models.base")
    arguments.add_argument("--demonstrations-per-subject", type=int, default=0, metavar="K")
    arguments.add_argument(
        "--alone", type=int, default=0, metavar="N",
        help="draw the first N subjects by themselves, timed as a user's; the others in groups, which is faster",
    )  # fmt: skip
    args = arguments.parse_args()
    s = args.settings
    device = prepare(s.compute)
    if args.model:
        check_model_spec(args.model, "--model")
        pipeline = SuTIPipeline.from_pretrained(args.model)
    else:
        base = load_base(s["models.base"])
        pipeline = SuTIPipeline.of(base)
    pipeline.to(device)
    subjects = read_benchmark(
        args.subjects, args.prompts, args.demonstrations, args.images, args.templates, args.compositional, args.first
    )
    sampling, k = sampling_settings(s), args.demonstrations_per_subject
    context = {
        "seed": s.seed, "model": model_digest(args.model or s["models.base"]), "demonstrations": k,
        "sampling": asdict(sampling), "precision": precision(s.compute, device), "code": code_digest(__file__, ROOT),
    }  # fmt: skip
    drawn = draw_all(
        groups_of(subjects, k, sampling.images_per_prompt, args.alone),
        lambda group: draw_suti_together(pipeline, group, k, sampling, s.compute, s.seed),
        context, args.cache, args.run,
    )  # fmt: skip
    conditions = {"optimisation_steps": 0, "threads": s.compute.threads, "device": device.type}
    write_generations(args.run, drawn, args.generations, args.images_out, args.timing, **conditions)


if __name__ == "__main__":
    main()
