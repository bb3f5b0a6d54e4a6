"""Several processes of one program on this machine, one a GPU, by torchrun."""

from __future__ import annotations

import os
import sys


def run_in_processes(count: int) -> None:
    """Start this program again as ``count`` processes under torchrun; returns if it is one of them, or for one.

    The program is replaced (``exec``), so a signal to it reaches torchrun, which passes it on and ends all when one
    fails.
    """
    if count > 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
        sys.stdout.flush()
        program = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), *sys.argv]
        os.execv(sys.executable, [sys.executable, *program])
