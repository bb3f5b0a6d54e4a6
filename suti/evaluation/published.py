"""Numbers that the paper prints (arXiv 2304.00186, Tables 1-3, Fig. 6 and the study of lambda), beside
ours."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "arXiv 2304.00186 (SuTI)"

# How the published numbers of each table were measured, in the terms of our own protocol.
PROTOCOLS = {
    "table1": "DreamBench, 30 subjects x 25 prompts x 4 pictures; DINO ViT-S/16, CLIP",
    "table2": "DreamBench-v2, 220 prompts, votes of people; overall: all three, per picture",
    "table3": "DreamBench-v2, 220 prompts, votes of people; overall: all three, per picture",
}


@dataclass(frozen=True)
class Similarity:
    """A row of Table 1, DreamBench: automatic metrics. None where the paper prints a dash."""

    method: str
    dino: float
    clip_i: float
    clip_t: float | None


@dataclass(frozen=True)
class Human:
    """A row of Table 2 or 3, DreamBench-v2: shares of human votes in [0, 1], and seconds per subject."""

    method: str
    seconds: float | None
    subject: float
    text: float
    realism: float
    overall: float


TABLE_1 = (
    Similarity("Real images", 0.774, 0.885, None),
    Similarity("DreamBooth (Imagen)", 0.696, 0.812, 0.306),
    Similarity("DreamBooth (Stable Diffusion)", 0.668, 0.803, 0.305),
    Similarity("Textual Inversion", 0.569, 0.780, 0.255),
    Similarity("Re-Imagen", 0.600, 0.740, 0.270),
    Similarity("SuTI", 0.741, 0.819, 0.304),
)

TABLE_2 = (
    Human("Textual Inversion", 30 * 60, 0.22, 0.64, 0.90, 0.14),
    Human("Null-Text Inversion", 5 * 60, 0.20, 0.46, 0.70, 0.10),
    Human("Imagic", 70 * 60, 0.78, 0.34, 0.68, 0.28),
    Human("DreamBooth (Stable Diffusion)", 6 * 60, 0.74, 0.53, 0.85, 0.47),
    Human("DreamBooth (Imagen)", 10 * 60, 0.88, 0.82, 0.98, 0.77),
    Human("InstructPix2Pix", 10, 0.14, 0.46, 0.42, 0.10),
    Human("Re-Imagen", 20, 0.70, 0.65, 0.64, 0.42),
    Human("SuTI", 20, 0.90, 0.90, 0.92, 0.82),
)

# Table 3 compares with the rows of Table 2; its time is not in our summary of the paper.
TABLE_3 = (
    Human("DreamBooth (Imagen)", 10 * 60, 0.88, 0.82, 0.98, 0.77),
    Human("SuTI", 20, 0.90, 0.90, 0.92, 0.82),
    Human("Dream-SuTI", None, 0.92, 0.92, 0.94, 0.87),
)

# Overall score by number of demonstrations, read from the plot of Fig. 6.
DEMONSTRATIONS = {1: 0.64, 2: 0.71, 3: 0.77, 4: 0.80, 5: 0.82}
# Overall score by lambda: no filter, and the best of the paper's grid.
LAMBDAS = {"none": 0.54, "0.02": 0.82, "0.025": 0.82}
