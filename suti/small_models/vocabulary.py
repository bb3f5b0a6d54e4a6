"""One word-level vocabulary for every text model of the world: base, CLIP and captioner read the same ids.

A word is one token, so a tiny text tower spends nothing on spelling. Words come from the world's grammar,
from the DreamBench templates, and from `COMMON_WORDS`, everyday English for alt texts and for a user's own
prompts. Whatever is left is ``<unk>``.
"""

from __future__ import annotations

import re
import string
from typing import Final

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

PAD: Final = "<pad>"
UNKNOWN: Final = "<unk>"
START: Final = "<bos>"
END: Final = "<eos>"
SPECIAL: Final = (PAD, UNKNOWN, START, END)

# Plain data, kept in the file and in this order so that ids do not depend on anything but the world's words.
COMMON_WORDS: Final = """
a about above accessories accessory acropolis across adorable adult adults after again against airport alarm
all alley along also alt always amazing amazon an and android angle animal animals anniversary another
antique any apron are armchair around art artisan arts artwork as asking at attic authentic automobile away
awesome azure b baby back background backpack backpacks badge bag balcony ball balloon banana bandana banner
bar barn base basket bath bathtub be beach beanie bear bears beautiful because bed bedroom beer behind beige
below bench beneath berry beside best bestseller better between bicycle big bike bin bird birds birthday
black blanket blue blurry board boat book bookbag books boot boots border bottle bottom bought boutique bow
bowl box boy branch brand brass bread bricks bridge bright brightly broken bronze brown bubble building
bunny bus but button buttons buy buys by c cabinet cafe cake came camera can candle candles candy canine
canvas canyon cap cape car card carpet carried carrying cars cartoon cartoonish castle cat cats cave cellar
center ceramic chair chasing cheap check checked checkered chef child chocolate chow christmas circle city
classic classroom clay clean clearance click climbing clock clocks close closeup clothes cloud clouds cm
coastal coat cobblestone coffee coin collar collectable collectible collection color colored colorful colors
colour coloured colourful colours com come comes comfortable comic concrete condition contact cook cookie
copper copy corgi corner costume costumes cosy cotton couch country cover covered cow cream creek crimson
crossing crowded crown cruising cube cubist cup curtain cushion custom cute cutout cyan d daily dance
dancing dark dawn day deal deck decor decorated decoration deep delicate delivery description desert desk
detailed details diamond different digital dior dirt dirty discount display dog doggy doghouse dogs doll
door dots dotted double down dozen drake draw drawing drawn dream dress drink driven driving dsc duck
duckling ducklings ducks dull dusk dusty e each early easter eating ebay edge eiffel eight emoji empty
engraved etsy even evening ever every exclusive exotic exploring extra eye eyes f fabric face facing factory
fair family famous fancy farm fashion fast favorite favourite feather features feline fence fencing few
field figure figurine file film final fire firefighter fireplace first fish fishes five flag flat float
floating floats floor floral flower flowers flying fog football footwear for forest fork found fountain four
fox frame free fresh fridge friend from front fruit fuji full fun funny furniture g gadget gallery garden
gave genuine get gets giant gif gift girl give gives glacier glass glasses glossy gloves glow go goes
goggles going gold golden goldfish good got graffiti grand grass gray great green grey ground group guitar h
hair haircut half hall halloween hallway hand handcrafted handmade hanging happy harbor hat hats have having
hd head header heart heavily helmet her herding here hero high hill his holding holiday home hoodie horse
hospital hot hound house how html http https hue huge hung i ice icon if illustration image images img
impressionist in inch indigo indoor info information ink inside instagram into is island it item its ivory j
jacket jam jar jpeg jpg jump jumping jumps jungle just k keep keeps keepsake kept kettle kicking kids
kitchen kite kitten kittens knife knit knitted know knows l lace lake lamb lamp landscape laptop large
lavender lay lazily leaf least leather leaves left lego library lies light lighthouse lightly lights lilac
lily lime limited line listing little living log logo long look looking looks lot love lovely low lush
luxury lying m machine macro made magenta make makes making mall man many map marble market maroon mask mat
matte me meadow medium men mens metal middle milk mini minimal mirror mm modern monet monkey monocle monster
moon moonlit more morning most mountain mountains mouse mug museum my n navy near neck necklace need needs
neon nest net never new next nice night nightcap nine no none nor not now null number o oak object ocean of
off office official oil old olive on one online only open opening orange order original ornament ornamental
other our out outdoor outfit outfits outside over p pack page paint painted painting paintings pair pale
panorama panoramic paper parade paris park party path patio pattern patterned pcs peach pebbles pen pencil
people perched perfect person personalised personalized perspective pet petals photo photograph photos pic
pick picnic picture pictures pier pillow pin pine pink pinstripe pinstriped pinterest pixel pixelart
pixelated plaid plain plane plant plants plastic plate play playful playground playing please plush plushie
png police polka pond pool poop pop porcelain porch portrait post poster pot pottery pouring premium present
pretty preview price print printed prints product puppies puppy purple px q quality quilt quite r racing
railway rain rainbow rainy rare rather rating read reading ready real really rear red reflection rendering
retro returns review reviews ribbon rice riding right ring river riverbank road robot robots rock rocks roof
rooftop room rope rose rough round royal rucksack rug rugged run running runs rusty s sad said sail sale
salmon sand sandy santa saucers say says scarf scarlet scarves scene scenic school schoolbag sculpture sea
seared second sedan see seen sees seller selling set seven several shade shadow shape shaped she sheep shelf
shelves shiny ship shipping shirt shoe shoes shop shore short shot show side sidewalk sign silhouette silver
simple single sink sit sits sitting six size skateboard sketch sketched sky sleeping slideshow slightly
sloth small smooth sneaker sneakers sniffing snow snowy so soap sofa soft sold solid some somewhat soon
space sparkling specification specs spoon sports spotted spring square stack stadium stage stained stairs
stall stand standing stands star stars station statue steel step still stock stone store stormy street
string stripe striped stripes stroller studio stuffed stunning style styles stylish subject subway suit
summer sun sunflower sunflowers sunglasses sunny sunrise sunset super supermarket surface surrounded sushi
sweater swimming t tabby table tail take taken takes talking tall tan tea teacup teal teapot teapots teddy
teen temple ten texture than that the their then there these they thick thin think thinks third this three
through thumbnail tie tint tiny tipped tired title to today toddler toes together toilet took top torn
tourist towards tower towering town toy toys tracks trail train transparent trash tray treadmill tree trees
triangle tropical truck turquoise tv two type typing u ugly uhd umbrella under underwater uniform unique
unisex untitled up upload upside use used uses using v vacation valentine valley van vase vases vehicle
velvet versailles very vest vibrant victorian view views vintage violet vivid volcano w waddles walking wall
wallpaper walls want wants warm watch watching water watercolor watercolour waterfall wave waves wear
wearing wears web webp wedding went wet what wheat wheel when where which whimsical white who wholesale why
wide wild window wine winter with without wizard wolf woman women womens wonderful wood wooden wool world
worn woven wristwatch www x y yard yarn year yellow yet you young your z zebra zoom
""".split()  # noqa: SIM905 (a list of quoted words would be three times as long)


def split_words(text: str) -> list[str]:
    """The tokens of a text before they become ids: lower case, split at spaces, punctuation and digits."""
    return re.findall(r"[^\W\d_]+|\d|[^\w\s]|_", text.lower())


def world_words() -> list[str]:
    """Every word of the world's captions, prompts and names, sorted."""
    from suti.world import language, vocabulary

    texts: list[str] = list(language.words())
    for names in (vocabulary.CLASSES, vocabulary.PATTERNS, vocabulary.DECALS, vocabulary.COLOURS):
        texts += [name.replace("_", " ") for name in names]
    for phrases in (vocabulary.BACKGROUNDS, vocabulary.ACCESSORIES, vocabulary.STYLES, vocabulary.EFFECTS):
        texts += [name.replace("_", " ") for name in phrases]
        texts += [phrase.replace("{}", " ") for phrase in phrases.values()]
    texts += [word for word in vocabulary.PATTERN_WORDS.values()]
    return sorted({word for text in texts for word in split_words(text)})


def vocabulary_words() -> list[str]:
    """All words in the order of their ids, special tokens first (``<pad>`` 0, ``<unk>`` 1, ``<bos>`` 2,
    ``<eos>`` 3).
    """
    ordered = [*SPECIAL, *string.digits, *string.punctuation, *sorted(set(COMMON_WORDS)), *world_words()]
    return list(dict.fromkeys(ordered))


def build_tokenizer(model_max_length: int = 32) -> PreTrainedTokenizerFast:
    """The word-level tokenizer: ``<bos> words <eos>``, lower-cased, padded on the right with id 0.

    ``cls`` and ``sep`` are aliases of ``<bos>`` and ``<eos>``, which BLIP's decoder asks for.
    Round trip: ``save_pretrained(folder)``, then ``AutoTokenizer.from_pretrained(folder)``.
    """
    ids = {word: index for index, word in enumerate(vocabulary_words())}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),  # whitespace and punctuation
            pre_tokenizers.Split(Regex("_"), behavior="isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        pair=f"{START} $A {END} $B {END}",
        special_tokens=[(START, ids[START]), (END, ids[END])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
        cls_token=START,
        sep_token=END,
        padding_side="right",
        model_max_length=model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )
