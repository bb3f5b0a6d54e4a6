"""Names of the world: classes, backgrounds, accessories, styles, colours, effects, patterns and decals.

Every phrase of DreamBench (Ruiz et al., 2023) is written here exactly once; the renderer knows the short
names, the language module the phrases.
"""

from __future__ import annotations

from typing import Final

OBJECT_CLASSES: Final = ("backpack", "boot", "candle", "car", "clock", "robot", "teapot", "vase")
LIVE_CLASSES: Final = ("cat", "dog", "duck", "fish")
CLASSES: Final = OBJECT_CLASSES + LIVE_CLASSES

# The first ten are shared by the object and the live templates of DreamBench.
BACKGROUNDS: Final[dict[str, str]] = {
    "jungle": "in the jungle",
    "snow": "in the snow",
    "beach": "on the beach",
    "cobblestone": "on a cobblestone street",
    "pink_fabric": "on top of pink fabric",
    "wooden_floor": "on top of a wooden floor",
    "city": "with a city in the background",
    "mountain": "with a mountain in the background",
    "blue_house": "with a blue house in the background",
    "purple_rug": "on top of a purple rug in a forest",
    "wheat_field": "with a wheat field in the background",
    "autumn": "with a tree and autumn leaves in the background",
    "eiffel": "with the Eiffel Tower in the background",
    "water": "floating on top of water",
    "milk": "floating in an ocean of milk",
    "sunflowers": "on top of green grass with sunflowers around it",
    "mirror": "on top of a mirror",
    "sidewalk": "on top of the sidewalk in a crowded street",
    "dirt_road": "on top of a dirt road",
    "white_rug": "on top of a white rug",
}

# Where a picture is taken that no place is asked for. No phrase names it.
STUDIO: Final = "studio"

ACCESSORIES: Final[dict[str, str]] = {
    "red_hat": "wearing a red hat",
    "santa_hat": "wearing a santa hat",
    "rainbow_scarf": "wearing a rainbow scarf",
    "top_hat": "wearing a black top hat and a monocle",
    "chef": "in a chef outfit",
    "firefighter": "in a firefighter outfit",
    "police": "in a police outfit",
    "pink_glasses": "wearing pink glasses",
    "yellow_shirt": "wearing a yellow shirt",
    "wizard": "in a purple wizard outfit",
}
HATS: Final = ("red_hat", "santa_hat", "top_hat", "chef", "firefighter", "police", "wizard")

PHOTO: Final = "photo"
SKETCH: Final = "pencil_sketch"  # the style without colours
STYLES: Final[dict[str, str]] = {
    "pencil_sketch": "a pencil sketch of",
    "pixel_art": "pixel art of",
    "watercolor": "a watercolor painting of",
    "pop_art": "a pop art print of",
}

# name -> (hue, saturation, value) ranges in [0, 1]; hue may run below 0. The ranges leave gaps, so that names
# agree with what the eye sees.
COLOURS: Final[dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]]] = {
    "red": ((-0.015, 0.012), (0.78, 0.92), (0.78, 0.92)),
    "orange": ((0.065, 0.085), (0.80, 0.95), (0.92, 1.00)),
    "yellow": ((0.135, 0.160), (0.70, 0.90), (0.93, 1.00)),
    "green": ((0.31, 0.39), (0.55, 0.80), (0.52, 0.72)),
    "teal": ((0.475, 0.515), (0.60, 0.80), (0.70, 0.85)),
    "blue": ((0.585, 0.635), (0.68, 0.88), (0.72, 0.92)),
    "purple": ((0.745, 0.785), (0.55, 0.75), (0.58, 0.75)),
    "pink": ((0.905, 0.945), (0.38, 0.52), (0.95, 1.00)),
    "brown": ((0.050, 0.075), (0.52, 0.66), (0.42, 0.52)),
    "white": ((0.08, 0.14), (0.00, 0.04), (0.95, 1.00)),
}

EFFECTS: Final[dict[str, str]] = {"shiny": "a shiny {}", "wet": "a wet {}", "cube_shaped": "a cube shaped {}"}
EFFECT_WORDS: Final[dict[str, str]] = {"shiny": "shiny", "wet": "wet", "cube_shaped": "cube shaped"}

PATTERNS: Final = ("plain", "stripes", "pinstripes", "dots", "checks", "band")
PATTERN_WORDS: Final[dict[str, str]] = {
    "plain": "plain",
    "stripes": "striped",
    "pinstripes": "pinstriped",
    "dots": "dotted",
    "checks": "checked",
    "band": "banded",
}
DECALS: Final = ("none", "heart", "star", "circle", "diamond")
