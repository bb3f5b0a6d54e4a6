"""What the training scripts of the small models share: their arguments."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suti.cli.arguments import parser
from suti.small_models.records import loop_settings

Train = Callable[..., None]


def training_parser(doc: str | None) -> ArgumentParser:
    """Parser of ``--settings``, the folder to write, the checkpoint and the log; ``doc`` is the help's text."""
    arguments = parser(doc)
    arguments.add_argument("--out", type=Path, required=True, help="model folder to write")
    arguments.add_argument("--checkpoint", type=Path, help="file from which a killed run resumes")
    arguments.add_argument("--loss", type=Path, help="JSON-lines file of the running losses")
    arguments.add_argument("--seconds", type=float, help="end by time and not by the setting's steps")
    arguments.add_argument("--deadline", type=float, help="end by this time, in seconds since 1970")
    arguments.add_argument("--duty", type=float, default=1.0, help="share of the time to work in")
    arguments.add_argument("--eager", action="store_true", help="no CUDA graph")
    arguments.add_argument("--pool", type=Path, help="folder of rendered pictures that trainers share")
    return arguments


def loop_options(args: Namespace) -> dict[str, Any]:
    """Fields of ``LoopSettings`` that ``--seconds``, ``--deadline``, ``--duty`` and ``--eager`` set."""
    seconds = args.seconds if args.deadline is None else max(1.0, args.deadline - time.time())
    return {"seconds": seconds, "deadline": args.deadline, "duty": args.duty, "graph": not args.eager}


def run(doc: str | None, name: str, learning_rate: float, train: Train, resumable: bool = False) -> None:
    """Parse a training script's arguments and train.

    Args:
        doc: the script's docstring, shown by ``--help``.
        name: of the model; its number of steps is the setting ``train_models.NAME_steps``.
        learning_rate: peak rate.
        train: takes the loop's settings, the folder to write, a checkpoint and a log (or None each), and as ``pool``
            the folder of rendered pictures, if there is one.
        resumable: ``--initial`` names a folder to go on from, which ``train`` takes as ``initial``; half the rate.
    """
    arguments = training_parser(doc)
    if resumable:
        arguments.add_argument("--initial", type=Path, help="model folder to go on from")
    args = arguments.parse_args()
    s = args.settings
    initial = args.initial if resumable else None
    if initial is not None:
        learning_rate /= 2
    settings = loop_settings(
        name, s.seed, s[f"train_models.{name}_steps"], learning_rate, s.compute, **loop_options(args)
    )
    shared = {} if args.pool is None else {"pool": args.pool}
    shared |= {} if initial is None else {"initial": initial}
    train(settings, args.out, args.checkpoint, args.loss, **shared)
