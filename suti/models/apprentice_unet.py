"""The apprentice's network: a base's UNet that also attends to demonstrations (section 3).

Each demonstration (picture, text) goes through the re-used down-stack at timestep 0 with its own text. The tokens
that enter each self-attention of the down-stack are the demonstration's features at that resolution. New attention
layers beside the self-attentions of the down-stack, the middle and the up-stack read them; attention over the
target's text stays as it is.
"""

from __future__ import annotations

import inspect
from typing import Any, cast

import torch
from diffusers import ModelMixin, UNet2DConditionModel  # noqa: F401 (diffusers looks up here how a component loads)

from suti.models.demonstration_attention import (
    DemonstrationAttention,
    DemonstrationProcessor,
    Demonstrations,
    Initialization,
)
from suti.models.small_attention import use_small_map_attention


class ApprenticeUNet(UNet2DConditionModel):
    """A ``UNet2DConditionModel`` with attention over demonstrations; saves and loads as any diffusers model.

    Without demonstrations, and with zero initialisation before training, it computes what the base computes.
    """

    def __init__(
        self,
        demonstration_initialization: Initialization = "self_attention",
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.register_to_config(demonstration_initialization=demonstration_initialization)
        self._install(demonstration_initialization)

    @classmethod
    def from_base(cls, unet: UNet2DConditionModel, initialization: Initialization = "self_attention") -> ApprenticeUNet:
        """Apprentice with the base's weights; only the new layers are new. Random draws come from torch's global state.

        Args:
            initialization: of the new layers. 'self_attention': queries, keys and values of the self-attention
                beside which the layer stands, output 0; 'zero': random but for the output; 'random': all random, as
                in the paper. With the first two the apprentice starts as the base, exactly.
        """
        known = inspect.signature(UNet2DConditionModel.__init__).parameters
        config = {k: v for k, v in unet.config.items() if k in known}
        apprentice = cls(demonstration_initialization=initialization, **config)
        missing, unexpected = apprentice.load_state_dict(unet.state_dict(), strict=False)
        strange = [k for k in missing if ".processor.layer." not in k]
        if strange or unexpected:
            raise ValueError(
                f"base UNet does not fit the apprentice: missing {strange[:3]}, unexpected {unexpected[:3]}"
            )
        if initialization == "self_attention":
            for name, module in apprentice.named_modules():
                if f"{name}.processor" in apprentice._sources and not name.endswith("attn2"):
                    apprentice.new_layer(f"{name}.processor").start_from(module)
        return apprentice

    def _install(self, initialization: Initialization) -> None:
        use_small_map_attention(self)
        recorded: dict[int, str] = {}  # level of the down-stack -> its last attention
        modules = {f"{n}.processor": m for n, m in self.named_modules() if f"{n}.processor" in self.attn_processors}
        for name in modules:
            if _is_host(name) and name.startswith("down_blocks."):
                recorded[int(name.split(".")[1])] = name
        if not recorded:
            raise ValueError("the base's down-stack has no attention, so demonstrations have no features")
        processors: dict[str, Any] = {}  # diffusers names its own classes, and calls any other as well
        inners: dict[str, Any] = {**self.attn_processors}
        for name, inner in inners.items():
            layer = None
            if _is_host(name):
                source = _source(name, recorded, len(self.down_blocks))
                layer = DemonstrationAttention(
                    _width(modules[name]), _width(modules[source]), modules[name].heads, initialization,
                    normalize=modules[name].group_norm is not None,
                )  # fmt: skip
            processors[name] = DemonstrationProcessor(name, inner, layer)
        self._sources = {n: _source(n, recorded, len(self.down_blocks)) for n in processors if _is_host(n)}
        self.set_attn_processor(dict(processors))  # a copy: diffusers empties what it is given

    def new_layer(self, name: str) -> DemonstrationAttention:
        """The new layer at an attention module's processor, by the processor's name."""
        processor: Any = self.attn_processors[name]  # diffusers names its own classes only
        return cast(DemonstrationAttention, processor.layer)

    def new_parameters(self) -> list[torch.nn.Parameter]:
        """Parameters of the new layers."""
        return [p for n, p in self.named_parameters() if ".processor.layer." in n]

    def base_parameters(self) -> list[torch.nn.Parameter]:
        """Parameters that the base has too."""
        return [p for n, p in self.named_parameters() if ".processor.layer." not in n]

    def encode_demonstrations(self, x_start: torch.Tensor, text: torch.Tensor, k: int) -> Demonstrations:
        """Encode the demonstrations of several subjects through the re-used down-stack at timestep 0.

        Args:
            x_start: ``(S * k, C, h, w)``, clean UNet inputs of the demonstrations, subject-major.
            text: ``(S * k, L, D)``, their texts' hidden states.
            k: demonstrations a subject; 0 gives demonstrations that no layer reads.

        Returns:
            Keys and values of every new layer, for S subjects.
        """
        if k == 0 or len(x_start) == 0:
            return Demonstrations()
        record: dict[str, torch.Tensor] = {}
        timestep = torch.zeros(len(x_start), dtype=torch.long, device=x_start.device)
        embedding = self.time_embedding(self.get_time_embed(sample=x_start, timestep=timestep), None)
        extra = self.get_aug_embed(emb=embedding, encoder_hidden_states=text, added_cond_kwargs={})
        embedding = embedding if extra is None else embedding + extra
        if self.time_embed_act is not None:
            embedding = self.time_embed_act(embedding)
        text = self.process_encoder_hidden_states(encoder_hidden_states=text, added_cond_kwargs={})
        hidden = self.conv_in(x_start)
        deepest = max(int(source.split(".")[1]) for source in self._sources.values())
        for block in self.down_blocks[: deepest + 1]:
            if getattr(block, "has_cross_attention", False):
                hidden, _ = block(
                    hidden_states=hidden, temb=embedding, encoder_hidden_states=text,
                    cross_attention_kwargs={"record": record},
                )  # fmt: skip
            else:
                hidden, _ = block(hidden_states=hidden, temb=embedding)
        keys_values = {}
        for name, source in self._sources.items():
            features = record[source]
            layer = self.new_layer(name)
            # (S k, n, C) -> (S, k n, C): attention does not know which demonstration a token came from
            keys_values[name] = layer.keys_values(features.reshape(len(features) // k, -1, features.shape[-1]))
        return Demonstrations(keys_values)


def _is_host(name: str) -> bool:
    """Whether a new layer stands beside this attention: self-attention, or the one module of Imagen's blocks.

    Not the attention over text: the picture's own tokens are what the demonstrations' tokens are like.
    """
    return not name.endswith("attn2.processor")


def _source(name: str, recorded: dict[int, str], levels: int) -> str:
    """Attention module of the down-stack whose input tokens the new layer at ``name`` reads: same level, or nearest."""
    if name in recorded.values():
        return name
    parts = name.split(".")
    if parts[0] == "down_blocks":
        return recorded[int(parts[1])]
    level = levels - 1 if parts[0] == "mid_block" else levels - 1 - int(parts[1])
    return recorded[min(recorded, key=lambda known: (abs(known - level), -known))]


def _width(attention: Any) -> int:
    return int(attention.to_q.in_features)


# diffusers reads a model's configuration keys from the signature of __init__: ours are its own and all of the base's.
_base_parameters = [
    p for n, p in inspect.signature(UNet2DConditionModel.__init__).parameters.items() if n != "self"
]  # fmt: skip
_own_parameters = [
    p for p in inspect.signature(ApprenticeUNet.__init__).parameters.values() if p.kind is not p.VAR_KEYWORD
]
ApprenticeUNet.__init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [*_own_parameters, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in _base_parameters)]
)
