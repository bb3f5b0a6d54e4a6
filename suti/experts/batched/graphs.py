"""A step of training as a CUDA graph: a GPU is told once what a step does, and after that only to do it again.

A step of K small experts is thousands of operations of a few microseconds, and Python takes longer to ask for one than
a GPU to do it. All steps of a group are the same operations on other numbers, so they are recorded once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

WARM_UP = 3  # steps as they are written: libraries choose kernels and workspaces when first called
WORTH = 4  # further steps that pay for recording one


class RepeatedStep:
    """A function of tensors that is called again and again with inputs of the same shapes.

    On the CPU, and for few calls, it is the function itself. On a GPU its operations are recorded at one call and
    replayed from then on, so whatever it reads and writes beside its inputs must stay in place in memory.

    Args:
        step: takes tensors on the device and returns one; it must not wait for the device.
        calls: how often it will be called.
    """

    def __init__(self, step: Callable[..., torch.Tensor], device: torch.device, calls: int) -> None:
        self._step, self._device, self._calls = step, device, 0
        self._inputs: list[torch.Tensor] = []
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: torch.Tensor | None = None
        # None: nothing is recorded.
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" and calls >= WARM_UP + WORTH else None

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """What the function returns, a tensor of its own."""
        if self._stream is None:
            return self._step(*inputs)
        self._calls += 1
        if not self._inputs:
            self._inputs = [torch.empty_like(given) for given in inputs]
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given)
        if self._calls <= WARM_UP:
            # On the stream that records later: autograd goes on where a tensor was first used.
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._stream):
                result = self._step(*self._inputs)
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
            return result.clone()
        if self._graph is None or self._result is None:
            self._graph = torch.cuda.CUDAGraph()
            # The thread that draws the next steps may allocate meanwhile: only this thread's calls are watched.
            with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
                self._result = self._step(*self._inputs)
        self._graph.replay()
        return self._result.clone()
