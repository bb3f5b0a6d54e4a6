"""What the benchmarks measure with: clocks, speed of a large product, peak memory, operators of a profile."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from suti.compute import precision
from suti.config.schema import Compute

PRODUCTS = ("mm", "conv", "linear", "attention", "gemm", "brgemm", "cutlass", "xmma")  # in names of operators, kernels


def seconds(call: Callable[[], object]) -> float:
    """Time of one call: of the processor for one CPU thread, which other programs do not disturb, else wall time."""
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    clock = time.process_time if alone else time.perf_counter
    start = clock()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


def line(name: str, values: list[float]) -> str:
    """One result: median, smallest, largest, count."""
    return f"{name} {statistics.median(values):.3f} (min {min(values):.3f}, max {max(values):.3f}, n {len(values)})"


def product_speed(compute: Compute, device: torch.device) -> float:
    """GFLOP/s of a large matrix product in the precision of the run, the best of ten."""
    dtype = torch.bfloat16 if precision(compute, device) == "bf16" else torch.float32
    size = 2048 if device.type == "cpu" else 8192
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    return 2e-9 * size**3 / min(seconds(lambda: matrix @ matrix) for _ in range(10))


def peak_memory(device: torch.device) -> Callable[[], float]:
    """Starts a measurement of peak memory; the result ends it and gives MB above the start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        return lambda: (torch.cuda.max_memory_allocated() - start) / 1e6
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # what earlier calls freed goes back, or it hides the next peak
        ctypes.CDLL(None).malloc_trim(0)
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    try:
        clear.write_text("5")  # the kernel then counts the peak anew
    except OSError:
        return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

    def read(field: str) -> float:
        return next(int(row.split()[1]) for row in status.read_text().splitlines() if row.startswith(field)) / 1e3

    before = read("VmRSS")
    return lambda: read("VmHWM") - before


def breakdown(call: Callable[[], object], device: torch.device, count: int = 12) -> str:
    """Where the time of a call goes: the operators that take most of it themselves, and the share of products.

    On a GPU operators are its kernels, and what they leave of the wall time is the GPU waiting.
    """
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=activities) as run:
        wall = seconds(call)
    if device.type == "cuda":  # the kernels alone: operators count their kernels' time again
        kernels = [
            row for row in run.key_averages() if row.device_type == DeviceType.CUDA and not row.is_user_annotation
        ]
        rows = [(row.key, row.self_device_time_total, row.count) for row in kernels]
    else:
        rows = [(row.key, row.self_cpu_time_total, row.count) for row in run.key_averages()]
    rows = sorted((row for row in rows if row[1] > 0), key=lambda row: -row[1])
    total = sum(taken for _, taken, _ in rows)
    real = [row for row in rows if device.type == "cuda" or row[0].startswith("aten::")]  # no wrappers around them
    products = sum(taken for name, taken, _ in real if any(part in name.lower() for part in PRODUCTS))
    lines = [f"  {taken / total:6.1%} {calls:7d} calls  {name[:90]}" for name, taken, calls in rows[:count]]
    lines.append(f"  {products / total:6.1%} all matrix products, convolutions and attention")
    if device.type == "cuda":
        lines.append(f"  the GPU works {total / 1e6 / wall:.0%} of the wall time")
    return "\n".join(lines)
