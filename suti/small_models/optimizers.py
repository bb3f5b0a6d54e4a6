"""The optimisers of the training loop, and the averaged weights, all of whose steps a CUDA graph can hold."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from suti.optim.muon import Muon


def make_optimizers(
    parameters: dict[str, nn.Parameter], kind: str, rate: float, weight_decay: float, device: torch.device
) -> list[torch.optim.Optimizer]:
    """The optimisers of a model.

    Args:
        parameters: by name.
        kind: ``"adamw"``: AdamW (.9, .98) for all, weight decay on matrices and filters only. ``"muon"``: Muon for
            hidden matrices and filters; AdamW (.9, .99) for biases, norms, embeddings, and the first and last layers.
        rate: peak learning rate. On a GPU it becomes a tensor, which a captured step reads anew each time.
    """
    lr: float | Tensor = torch.tensor(rate, device=device) if device.type == "cuda" else rate
    on_gpu = {"capturable": True} if device.type == "cuda" else {}
    if kind == "adamw":
        decayed = [p for p in parameters.values() if p.ndim >= 2]
        plain = [p for p in parameters.values() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
        return [torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=(0.9, 0.98), **on_gpu)]
    if kind != "muon":
        raise ValueError(f"optimizer: {kind!r}, expected adamw or muon")
    hidden = [p for name, p in parameters.items() if p.ndim >= 2 and not _outer(name)]
    known = {id(p) for p in hidden}
    rest = [p for p in parameters.values() if id(p) not in known]
    muon = Muon(hidden, lr=lr, weight_decay=weight_decay)
    return [muon, torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay, **on_gpu)]


def _outer(name: str) -> bool:
    """Whether a parameter belongs to a model's first or last layer, or to its text encoder."""
    return any(part in ("conv_in", "conv_out", "text_encoder") for part in name.split("."))


class Average:
    """Exponential moving average of a model's parameters and floating-point buffers; integers are copied."""

    def __init__(self, model: nn.Module) -> None:
        self.tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}
        state = model.state_dict()
        floats = [name for name, value in state.items() if value.is_floating_point()]
        self._floats = [self.tensors[name] for name in floats]
        self._sources = [state[name].detach() for name in floats]
        self._counts = [(self.tensors[n], v) for n, v in state.items() if not v.is_floating_point()]

    @torch.no_grad()
    def update(self, weight: float | Tensor) -> None:
        """Move by ``weight`` of the way to the model's present values, in place."""
        steps = torch._foreach_sub(self._sources, self._floats)
        torch._foreach_mul_(steps, weight)
        torch._foreach_add_(self._floats, steps)
        for kept, value in self._counts:
            kept.copy_(value)


def set_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate of all groups; tensors keep their place in memory."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
