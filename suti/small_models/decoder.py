"""A base takes a better decoder for the latents that it knows. No torch: the plan that trains everything calls it."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.numpy import load_file

from suti.io.atomic import atomic_path, read_json, write_json

WEIGHTS = "diffusion_pytorch_model.safetensors"


def adopt_decoder(base: str | Path, vae: str | Path) -> bool:
    """Put the weights of an autoencoder in the place of a base's own, if it draws better and its latents are the same.

    Args:
        base: folder of a base, as ``train_base`` writes it; its provenance then names the decoder's.
        vae: folder of an autoencoder, as ``train_decoder`` writes it.

    Returns:
        Whether the decoder is in the base. Not, where its held-out PSNR is no higher than that of the one it replaces.

    Raises:
        ValueError: a weight outside the decoder differs, so the base would draw in latents that it does not know.
    """
    base, vae = Path(base), Path(vae)
    record = read_json(vae / "provenance.json")
    if record["held_out"]["psnr"] <= record["settings"]["held_out_initial"]["psnr"]:
        return False
    old, new = load_file(base / "vae" / WEIGHTS), load_file(vae / WEIGHTS)
    for name in sorted(old.keys() | new.keys()):
        if not name.startswith("decoder.") and (
            name not in old or name not in new or old[name].tobytes() != new[name].tobytes()
        ):
            raise ValueError(f"{vae}: {name} is not that of {base}: a base can change its decoder, not its latents")
    with atomic_path(base / "vae" / WEIGHTS) as part:
        shutil.copyfile(vae / WEIGHTS, part)
    write_json(base / "provenance.json", read_json(base / "provenance.json") | {"decoder": record})
    return True
