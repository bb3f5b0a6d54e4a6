r"""Train everything that is shipped within a number of minutes, several stages at once, on a GPU if there is one.

    python studies/train_shipped.py --minutes 9 --out FOLDER
    python studies/train_shipped.py --minutes 9 --out FOLDER --contest
    python studies/train_shipped.py --minutes 4 --out FOLDER --initial MODELS --seed 1 \
        --stages base vae super_resolution

Renderers fill a pool of pictures on all cores but those of the trainers. The autoencoder comes first; then the base
trains until the end, beside it its companions and, with --contest, three bases at equal seconds. Each stage is the
script that `make models` runs, with --deadline in place of steps: its learning rate has come down when its time is up.
With --initial the base goes on, in the latents that it knows, and has most of the GPU: its decoder, super-resolution
and what else --stages names train beside it a part of the time only. Another seed shows them other pictures.
A stage that fails is tried once more without CUDA graphs, and leaves the others alone. Folders are written as soon as
a stage ends, and packed into tars of at most 15 MB; logs are in OUT/logs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # runs from a checkout too, without an installation

from suti.io.atomic import atomic_path, write_json  # noqa: E402
from suti.io.provenance import code_version, hardware  # noqa: E402
from suti.small_models.decoder import adopt_decoder  # noqa: E402
from suti.small_models.pool import renderers  # noqa: E402
from suti.small_models.streams import base_stream, companion_stream, large_stream  # noqa: E402

COMPANIONS = ("probe", "clip", "captioner", "dino", "super_resolution")
TAR_BYTES = 15 * 10**6
VAE_SHARE = 0.14
CONTEST_SHARE = 0.14
START = 20.0  # seconds before the autoencoder ends at which the base's process starts, to load its modules
AFTER_BASE = 12.0  # seconds that the base has to itself when it goes on: it reads its first blocks, captures its step
DECODER_SHARE = 0.38  # of the time, when the base goes on
DUTY = {"decoder": 0.6, "super_resolution": 0.35}  # shares of their time in which they work beside a base that goes on
AGAIN = 20.0  # seconds that must be left for a stage that failed to be tried once more
FINISH_BASE, FINISH_COMPANION = 25.0, 75.0  # seconds for saving, and for the held-out figures of a companion


@dataclass
class Stage:
    """One training script at work. ``ends``: when its optimiser must stop, seconds after the start of all."""

    name: str
    command: list[str]
    environment: dict[str, str]
    ends: float
    record: dict[str, object] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None


class Plan:
    """Starts stages, watches them, packs what they write."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.out: Path = args.out
        self.total = 60.0 * args.minutes
        self.begun = time.monotonic()
        self.running: list[Stage] = []
        self.ended: list[Stage] = []
        self.adopted: bool | str | None = None
        (self.out / "logs").mkdir(parents=True, exist_ok=True)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.begun

    def say(self, text: str) -> None:
        """Print a line with the time."""
        print(f"[{self.now:6.1f} s] {text}", flush=True)

    def start(
        self, name: str, ends: float, *more: str, folder: str = "models", script: str | None = None, nice: int = 0
    ) -> Stage:
        """Start ``scripts/train_SCRIPT.py`` so that it trains until ``ends``."""
        script = script or name
        seconds = max(1.0, ends - self.now)
        values: dict[str, object] = {"seed": self.args.seed, "compute": {"threads": 1, "device": self.args.device}}
        values |= {"train_models": {"compile": self.args.compile}}
        command = [
            *(["nice", "-n", str(nice)] if nice else []), sys.executable, str(ROOT / "scripts" / f"train_{script}.py"),
            "--settings", json.dumps(values),
            "--out", str(self.out / folder / name), "--loss", str(self.out / "logs" / f"{name}.jsonl"),
            "--checkpoint", str(self.out / "checkpoints" / f"{name}.safetensors"),
            "--deadline", f"{time.time() + seconds:.1f}", "--pool", str(self.args.pool), *more,
        ]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        environment |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        stage = Stage(name, command, environment, ends, {"started": round(self.now, 1), "seconds": round(seconds, 1)})
        self._run(stage, command)
        return stage

    def _run(self, stage: Stage, command: list[str]) -> None:
        with (self.out / "logs" / f"{stage.name}.log").open("ab") as log:
            try:
                stage.process = subprocess.Popen(
                    command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=stage.environment
                )
            except OSError as error:
                self.say(f"{stage.name}: did not start: {error}")  # the others train on
                return
        self.running.append(stage)
        self.say(f"{stage.name}: {stage.ends - self.now:.0f} s")

    def look(self) -> None:
        """Note the stages that have ended, and print a line about each of the others now and then."""
        for stage in list(self.running):
            assert stage.process is not None
            code = stage.process.poll()
            if code is None:
                continue
            self.running.remove(stage)
            if code > 0 and "again" not in stage.record and self.now < stage.ends - AGAIN:
                log = (self.out / "logs" / f"{stage.name}.log").read_text(errors="replace")
                print("\n".join(log.splitlines()[-12:]), flush=True)
                self.say(f"{stage.name}: failed; once more, without CUDA graphs")
                stage.record["again"] = round(self.now, 1)
                self._run(stage, [*stage.command, "--eager"])
                continue
            self.ended.append(stage)
            stage.record |= {"ended": round(self.now, 1), "exit": code}
            self.say(f"{stage.name}: ended with {code}; {self._last(stage.name)}")
            if code:
                log = (self.out / "logs" / f"{stage.name}.log").read_text(errors="replace")
                print("\n".join(log.splitlines()[-12:]), flush=True)
            self.adopt()
            try:
                self.pack()
            except OSError as error:
                self.say(f"not packed: {error}")  # packing is tried again at the end; those that train must not stop

    def adopt(self) -> None:
        """Once a base that went on and the decoder are both there: the decoder into the base."""
        base, vae = (self.out / "models" / name for name in ("base", "vae"))
        done = all((folder / "provenance.json").is_file() for folder in (base, vae))
        if self.args.initial is None or self.adopted is not None or not done:
            return
        try:
            self.adopted = adopt_decoder(base, vae)
        except Exception as error:  # whatever it is, the base that there is counts for more
            self.adopted = f"failed: {error}"
        self.say(f"decoder into the base: {self.adopted}")

    def _last(self, name: str) -> str:
        path = self.out / "logs" / f"{name}.jsonl"
        lines = path.read_text().splitlines() if path.is_file() else []
        return lines[-1] if lines else "no losses yet"

    def wait(self, until: float, stage: Stage | None = None) -> None:
        """Watch until a time, or until ``stage`` (None: every stage) has ended."""
        said = self.now
        while self.now < until and (stage in self.running if stage is not None else self.running):
            time.sleep(0.2)
            self.look()
            if self.now - said > self.args.report:
                said = self.now
                for other in self.running:
                    self.say(f"  {other.name}: {self._last(other.name)}")

    def stop(self, *stages: Stage) -> None:
        """End stages, or all that still run."""
        for stage in stages or tuple(self.running):
            assert stage.process is not None
            self.say(f"{stage.name}: stopped, its time is over")
            stage.process.kill()
            stage.process.wait()
        self.look()

    def pack(self) -> None:
        """Write the finished folders into tars of at most ``TAR_BYTES``, models first, then the record and logs."""
        folders = [*sorted((self.out / "models").glob("[!.]*")), *sorted((self.out / "contest").glob("[!.]*"))]
        folders = [folder for folder in folders if (folder / "provenance.json").is_file()]
        bins: list[tuple[int, list[Path]]] = []
        for folder in sorted(folders, key=_bytes, reverse=True):
            size = _bytes(folder)
            place = next((i for i, (used, _) in enumerate(bins) if used + size <= TAR_BYTES), None)
            if place is None:
                bins.append((size, [folder]))
            else:
                bins[place] = (bins[place][0] + size, [*bins[place][1], folder])
        packed: Path = self.args.packed or self.out / "packed"
        for index, (_, members) in enumerate(bins):
            with atomic_path(packed / f"models-{index}.tar") as part, tarfile.open(part, "w") as tar:
                for folder in members:
                    tar.add(folder, arcname=str(folder.relative_to(self.out)))
        stages = {stage.name: stage.record for stage in (*self.ended, *self.running)}
        record = {
            "minutes": self.args.minutes,
            "code_version": code_version(),
            "hardware": hardware(),
            "stages": stages,
            "decoder_adopted": self.adopted,
        }
        write_json(self.out / "stages.json", record)
        with atomic_path(packed / "logs.tar.gz") as part, tarfile.open(part, "w:gz") as tar:
            tar.add(self.out / "stages.json", arcname="stages.json")
            tar.add(self.out / "logs", arcname="logs")
        self.say(
            "packed " + ", ".join(f"{p.name} {p.stat().st_size / 1e6:.1f} MB" for p in sorted(packed.glob("*.tar*")))
        )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size + 1024 for path in folder.rglob("*") if path.is_file())


def go_on(plan: Plan) -> Path:
    """The base from the initial one; a little later, and with less of the GPU, the decoder of its autoencoder.

    Returns:
        Folder of the autoencoder, whose latents stay: another autoencoder would be another base.
    """
    args, total = plan.args, plan.total
    blocks, initial = str(args.base_blocks), args.initial / "base"
    if "base" in args.stages:
        more = ["--batch-size", str(args.batch_size), "--blocks", blocks, "--initial", str(initial)]
        plan.start("base", total - FINISH_BASE * args.patience, *more)
        plan.wait(AFTER_BASE)
    if "vae" in args.stages:
        more = ["--decoder", "--initial", str(initial / "vae"), "--batch-size", str(max(4, args.batch_size // 4))]
        more += ["--blocks", str(min(800, args.base_blocks)), "--duty", str(DUTY["decoder"])]
        plan.start("vae", plan.now + DECODER_SHARE * total, *more, nice=5)
    return initial / "vae"


def anew(plan: Plan) -> Path:
    """The autoencoder, then the base in its latents. Returns the folder of the autoencoder."""
    args, total = plan.args, plan.total
    batch, small = str(args.batch_size), str(max(4, args.batch_size // 2))
    autoencoder = plan.out / "models" / "vae"
    vae_blocks = str(min(800, args.base_blocks))
    vae = plan.start("vae", VAE_SHARE * total, "--batch-size", small, "--blocks", vae_blocks)
    plan.wait(VAE_SHARE * total - START * args.patience, vae)
    base = None
    if "base" in args.stages:
        more = ["--batch-size", batch, "--blocks", str(args.base_blocks), "--vae", str(autoencoder), "--wait"]
        base = plan.start("base", total - FINISH_BASE * args.patience, *more)
    plan.wait(total, vae)
    if base is not None and not (autoencoder / "provenance.json").is_file():
        plan.say("base: no autoencoder, so none of this")
        plan.stop(base)
    return autoencoder


def schedule(plan: Plan) -> None:
    """All stages in order of worth."""
    args, total = plan.args, plan.total
    ends_companion = total - FINISH_COMPANION * args.patience
    batch = str(args.batch_size)
    companions = [name for name in COMPANIONS if name in args.stages]
    autoencoder = anew(plan) if args.initial is None else go_on(plan)
    if args.contest:
        ends = plan.now + CONTEST_SHARE * total
        few = ["--batch-size", batch, "--blocks", str(min(800, args.base_blocks))]
        contestants = {"contest-32": ["--initial", str(args.old_base)], "contest-64-patches": []}
        if (autoencoder / "config.json").is_file():
            contestants["contest-64-latent"] = ["--vae", str(autoencoder)]
        stages = [plan.start(n, ends, *few, *more, folder="contest", script="base") for n, more in contestants.items()]
        for stage in stages:
            plan.wait(total, stage)
        plan.pack()
    for name in companions:
        more = []
        if args.initial is not None and name in DUTY:
            more = ["--initial", str(args.initial / name), "--duty", str(DUTY[name])]
        plan.start(name, ends_companion, *more, nice=0 if args.initial is None else 5)
    plan.wait(total - 6.0 * args.patience)
    plan.stop()


def main() -> None:
    """Parse arguments and spend the minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True, help="wall-clock time for all of it")
    parser.add_argument("--out", type=Path, required=True, help="folder of models, logs and packed tars")
    parser.add_argument("--pool", type=Path, help="folder of pictures; default: OUT/pool")
    parser.add_argument(
        "--stages", nargs="*", default=["base", *COMPANIONS], help="what to train; the VAE of a new base always is"
    )
    parser.add_argument("--packed", type=Path, help="folder of the tars; default: OUT/packed")
    parser.add_argument("--contest", action="store_true", help="also train three kinds of base at equal seconds")
    parser.add_argument(
        "--old-base", type=Path, default=ROOT / "resources/models/base", help="base of the contest at 32 px"
    )
    parser.add_argument("--initial", type=Path, help="folder of models whose base goes on; default: new weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true", help="torch.compile the networks of base and autoencoder")
    parser.add_argument(
        "--renderers", type=int, default=max(1, (os.cpu_count() or 2) - 3), help="processes that render"
    )
    parser.add_argument("--batch-size", type=int, default=512, help="pictures a step of the base; the VAE takes half")
    parser.add_argument("--base-blocks", type=int, default=4800, help="of 512 pictures, rendered for the base")
    parser.add_argument("--companion-blocks", type=int, default=200, help="of 1024 pictures")
    parser.add_argument("--large-blocks", type=int, default=110, help="of 64 pictures of 256 px")
    parser.add_argument("--report", type=float, default=15.0, help="seconds between lines about a stage")
    parser.add_argument("--patience", type=float, default=1.0, help="factor on the time for starting and saving")
    args = parser.parse_args()
    args.out = args.out.resolve()
    args.pool = (args.pool or args.out / "pool").resolve()
    args.initial = args.initial and args.initial.resolve()
    plan = Plan(args)
    base, companions, large = base_stream(args.seed), companion_stream(args.seed), large_stream(args.seed)
    rest = [(base, args.base_blocks), (companions, args.companion_blocks), (large, args.large_blocks)]
    rest = [(stream, blocks) for stream, blocks in rest if blocks]
    first = 200 if args.initial is None else 60
    phases = [[(base, min(first, args.base_blocks))], [(s, max(1, n // 4)) for s, n in rest], rest]
    try:
        with renderers(args.pool, phases, args.renderers):
            plan.say(f"{args.renderers} renderers, {args.minutes:g} minutes, {hardware()}")
            schedule(plan)
    finally:
        plan.pack()
        rendered = {folder.name: len(list(folder.glob("images-*.npy"))) for folder in args.pool.glob("*")}
        plan.say(f"blocks rendered: {rendered}")
        if args.pool.is_relative_to(args.out):
            shutil.rmtree(args.pool, ignore_errors=True)


if __name__ == "__main__":
    main()
