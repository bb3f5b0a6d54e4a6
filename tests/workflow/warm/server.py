"""A process that has imported torch and its like, and forks itself for every script of the workflow.

A job of the test configuration computes for half a second and imports for six, and a run has forty jobs.
Nothing of the project stays imported: scripts run the code of the checkout they were started in.
``sitecustomize.py`` is the other end, in the interpreter that Snakemake starts.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

# With these, all that the scripts import at their heads.
MODULES = (
    "suti.figures.training",
    "suti.experts.run",
    "suti.experts.fine_tuning",
    "suti.baselines.dream_suti",
    "suti.baselines.dreambooth",
    "suti.generation.draw",
    "suti.models.captioner",
    "suti.models.encoders",
    "suti.models.pipeline",
    "suti.small_models.probe_network",
    "suti.figures.samples",
    "suti.figures.table_layout",
    "open_clip",
    "matplotlib.pyplot",
)


def serve(address: str, root: str) -> None:
    """Import, then listen at a socket's path until killed; each connection is one script."""
    sys.path.insert(0, root)
    for name in MODULES:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "suti"]:
        del sys.modules[name]
    sys.path.remove(root)
    gc.collect()
    gc.freeze()  # or the first collection of every fork would copy most of the memory
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.part")
        listener.listen(64)
        os.rename(f"{address}.part", address)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                attend(connection)
            connection.close()


def attend(connection: socket.socket) -> None:
    """Fork the script, and tell its exit status; kill it when the other end is killed."""
    message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not message.endswith(b"\n"):
        more = connection.recv(1 << 20)
        if not more:  # the other end was killed before it had said what to run
            os._exit(1)
        message += more
    job = os.fork()
    if job == 0:
        connection.close()
        run(json.loads(message), descriptors)
    ended = os.pidfd_open(job)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.kill(job, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    if ended in ready:
        connection.sendall(bytes([status % 256]))
    os._exit(0)


def run(message: dict, descriptors: list[int]) -> None:
    """Be the interpreter that was started with these arguments, folder, environment and standard streams."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.chdir(message["folder"])
    os.environ.clear()
    os.environ.update(message["environment"])
    script, *arguments = message["arguments"]
    sys.argv = [script, *arguments]
    sys.path[:0] = [str(Path(script).resolve().parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    status = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(*sys.argv[1:])
