"""Names what the photos show: the high-level pseudo-labels, by the public tower's own ImageNet classifier, or by a prompt.

Kinds that only an expert tells apart are one label: a breed says nothing about a photo's beauty. Photos that the classifier is
not sure of get no label. Of a generated image that people found to show its prompt, the prompt's plainest word is the label.
How sure each label is stands beside it: a pretext sample may be wrong now and then, a comment that names the wrong thing may not.
"""

import ast
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from aesthetic_mllm.modeling.modeling_efficientnet_lite import EfficientNetLiteBackbone, photo_mask
from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.teachers import ClassifierTeacher, label_pool, save_contents, with_article
from aesthetic_mllm.processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from aesthetic_mllm.processing.rating_scale import RatingScale

from .devices import device, half_precision
from .rated_photos import BEAUTY, GENERATED, LARGE, QUALITY, photo_key, read_generated
from .weights import VISION, WeightPackage, WeightPackageError, convert_vision, fetch, folded

logger = logging.getLogger(__name__)

# The 1,000 classes' names in plain English, MIT licence. The file is parsed, not imported.
CLASS_NAMES = WeightPackage(
    "open_clip_torch",
    "3.3.0",
    "c549ad5ed6bfc119cc11105033c0a2b9d7a2a4afeb40a58a09aab3da1a0043ce",
    "open_clip/zero_shot_metadata.py",
)
CONTENTS = "contents.json"  # photo key, such as "biq2021/name.webp", to label
CONFIDENCES = "content_confidences.json"  # and the likeliest label with its probability, of every photo
FOLDERS = (QUALITY, BEAUTY, GENERATED, "photos_unlabeled", LARGE)
CANVAS = 288
BATCH_SIZE = 16

# One label for all classes from a first to a last name in ImageNet's order, which is that of kinship for animals.
RANGES = {
    ("tench", "stingray"): "a fish",
    ("rooster", "great grey owl"): "a bird",
    ("fire salamander", "axolotl"): "a salamander",
    ("American bullfrog", "tailed frog"): "a frog",
    ("loggerhead sea turtle", "box turtle"): "a turtle",
    ("banded gecko", "Komodo dragon"): "a lizard",
    ("Nile crocodile", "American alligator"): "a crocodile",
    ("worm snake", "sidewinder rattlesnake"): "a snake",
    ("harvestman", "harvestman"): "a spider",
    ("yellow garden spider", "wolf spider"): "a spider",
    ("black grouse", "red-breasted merganser"): "a bird",
    ("goose", "black swan"): "a bird",
    ("snail", "sea slug"): "a snail",
    ("Dungeness crab", "hermit crab"): "a crab",
    ("white stork", "albatross"): "a bird",
    ("grey whale", "killer whale"): "a whale",
    ("Chihuahua", "Mexican hairless dog (xoloitzcuintli)"): "a dog",
    ("grey wolf", "African wild dog"): "a wolf",
    ("red fox", "grey fox"): "a fox",
    ("tabby cat", "Egyptian Mau"): "a cat",
    ("cougar", "cheetah"): "a big cat",
    ("brown bear", "sloth bear"): "a bear",
    ("tiger beetle", "weevil"): "a beetle",
    ("fly", "lacewing"): "an insect",
    ("dragonfly", "damselfly"): "a dragonfly",
    ("red admiral butterfly", "gossamer-winged butterfly"): "a butterfly",
    ("cottontail rabbit", "Angora rabbit"): "a rabbit",
    ("ox", "bison"): "cattle",
    ("ram (adult male sheep)", "bighorn sheep"): "a sheep",
    ("hartebeest", "gazelle"): "an antelope",
    ("orangutan", "indri"): "a monkey",
    ("Asian elephant", "African bush elephant"): "an elephant",
    ("snoek fish", "pufferfish"): "a fish",
    ("agaric", "bolete"): "a mushroom",
    ("consomme", "trifle"): "a dish of food",
    ("baguette", "pretzel"): "bread",
    ("cheeseburger", "mashed potatoes"): "a dish of food",
    ("cabbage", "cardoon"): "vegetables",
    ("Granny Smith apple", "pomegranate"): "fruit",
    ("carbonara", "carbonara"): "a dish of food",
    ("meatloaf", "burrito"): "a dish of food",
}
# One label for classes that stand apart in that order.
GROUPS = {
    "a car": "station wagon|convertible|jeep|limousine|minivan|ford model t|pickup truck|race car|sports car|taxicab|"
    "radiator grille|car mirror|car wheel",
    "a truck": "fire truck|garbage truck|moving van|semi-trailer truck|tow truck",
    "a bus": "minibus|school bus|trolleybus",
    "a train": "high-speed train|electric locomotive|freight car|railroad car|steam locomotive|tram",
    "a boat": "canoe|catamaran|fireboat|gondola|lifeboat|motorboat|sailboat|schooner|trimaran|paddle",
    "a ship": "aircraft carrier|container ship|ocean liner|pirate ship|shipwreck",
    "a bicycle": "mountain bike|tandem bicycle",
    "a scooter": "moped|vespa",
    "an airplane": "airliner|military aircraft|airplane wing",
    "the seashore": "beach|promontory|sandbar|breakwater",
    "a lake": "lakeshore",
    "mountains": "mountain|valley",
    "a church": "church|bell tower|monastery",
    "a bridge": "through arch bridge|suspension bridge|viaduct",
    "a harbour": "dock|pier|boathouse",
    "a computer": "computer keyboard|desktop computer|hand-held computer|laptop computer|computer mouse|notebook computer|"
    "keyboard space bar",
    "a screen": "monitor|CRT monitor|television|entertainment center",
    "a telephone": "mobile phone|rotary dial telephone|payphone",
    "a camera": "Polaroid camera|reflex camera|lens cap",
    "a clock": "analog clock|digital clock|wall clock",
    "a guitar": "acoustic guitar|electric guitar|plectrum",
    "a piano": "grand piano|upright piano",
    "a shop": "bakery|bookstore|butcher shop|candy store|grocery store|shoe store|tobacco shop|toy store|barbershop",
    "a cup of coffee": "espresso|coffee mug",
    "a cup of tea": "tea cup",
    "a bottle": "beer bottle|soda bottle|water bottle|wine bottle|whiskey jug",
    "a flower": "daisy|yellow lady's slipper",
    "corn": "corn|corn cob",
    "an elephant": "tusker",
    "a street sign": "traffic or street sign",
    "a vaulted ceiling": "vaulted or arched ceiling",
}
# Of a label of its own, a class is named only if it is here. Read beside 120 photos, labels of groups were right in nearly all
# cases from a confidence of 0.65; those of single classes were not ("a guillotine" for a slide, "a ping-pong ball" for a toy).
NAMED_CLASSES = (
    "an umbrella|a castle|a palace|a zebra|a pig|a camel|a hippopotamus|an ostrich|a penguin|a peacock|a giant panda|a pizza|"
    "a cliff|a volcano|a geyser|a coral reef|a fountain|a library|a traffic light|a candle|a violin"
).split("|")
NOT_NAMED = ("a snake", "a spider", "a beetle", "an insect", "vegetables", "a harbour", "a screen", "a shop")  # groups that err
# Names that take no article: plurals, and what is not counted.
UNCOUNTED = (
    "binoculars|brain coral|chain mail|chocolate syrup|clogs|coral fungus|dough|eggnog|face powder|guacamole|hair spray|hay|"
    "ice cream|jeans|lotion|pajamas|parallel bars|product packet|rapeseed|red wine|sunglasses|sunscreen|swim trunks|tights|"
    "toilet paper|velvet fabric|wool"
).split("|")


# What a generated image shows, by words of its prompt; the first that is in it counts.
PROMPT_WORDS = {
    "a cat": "cat|kitten", "a dog": "shepherd|hightland", "a fox": "fox|foxes", "an owl": "owl", "a frog": "frog",
    "a lizard": "gecko|lizard", "a rabbit": "rabbit", "a sheep": "sheep", "a pig": "pig", "a bird": "eagle|toucan",
    "a butterfly": "butterflies", "a dragon": "dragon|dragons", "a robot": "robot|robots|android|cyborg", "a skull": "skull",
    "a spaceship": "spaceship|shuttle|spaceport", "an astronaut": "astronaut", "a warrior": "warrior|samurai|knight|legionary",
    "armour": "armor", "a pizza": "pizza", "a doughnut": "donut", "a boat": "rowboat|vessel", "a statue": "statue",
    "a house": "house|hut", "a lake": "lake", "waves": "waves", "mountains": "mountain", "a forest": "forest",
    "a landscape": "landscape", "a garden": "garden|gardens", "a starry sky": "stars|galaxies|universe", "a logo": "logo",
    "a portrait": "portrait|face|woman|monk",
}  # fmt: skip
LEAST_FIT = 5.5  # of an image to its prompt, on the rating scale
PROMPT_CONFIDENCE = 0.9  # of a label that comes from a prompt


class ClassifierHead(nn.Module):
    """The public tower's classifier, with batch normalisation folded; pools over the photo's own cells."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        weights = folded(state, "conv", "_conv_head", "_bn1")
        self.conv = nn.Conv2d(*reversed(weights["conv.weight"].shape[:2]), 1)
        self.fc = nn.Linear(*reversed(state["_fc.weight"].shape))
        self.load_state_dict(weights | {"fc.weight": state["_fc.weight"], "fc.bias": state["_fc.bias"]}, strict=True)

    def forward(self, feature_map: torch.Tensor, image_sizes: torch.Tensor) -> torch.Tensor:
        """[B, 352, h, w] of the last stage and [B, 2] -> logits [B, 1000]."""
        rows, columns = feature_map.shape[-2:]
        mask = photo_mask(image_sizes, rows, columns, CANVAS // columns, feature_map)
        pooled = (F.relu6(self.conv(feature_map)) * mask).sum((2, 3)) / mask.sum((2, 3))
        return self.fc(pooled)


class Classifier:
    """Photos to logits: image processor, tower and head."""

    def __init__(self, weights: Path):
        self.image_processor = AestheticMLLMImageProcessor(canvas_size=CANVAS)
        self.tower: EfficientNetLiteBackbone = convert_vision(weights, CANVAS).to(device(), memory_format=torch.channels_last)
        self.head = ClassifierHead(torch.load(weights, map_location="cpu", weights_only=True)).eval().to(device())

    @torch.inference_mode()
    def __call__(self, photos: Sequence[Image.Image]) -> torch.Tensor:
        """Logits [N, 1000]."""
        inputs = self.image_processor(list(photos), return_tensors="pt").to(device())
        with half_precision():
            feature_map = self.tower(inputs["pixel_values"], inputs["image_sizes"]).feature_maps[-1]
        return self.head(feature_map.float(), inputs["image_sizes"])


def class_names(path: Path) -> list[str]:
    """The 1,000 names in ImageNet's order, read from the source file."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "IMAGENET_CLASSNAMES":
            return list(ast.literal_eval(node.value))
    raise WeightPackageError(f"{path}: no IMAGENET_CLASSNAMES in it; use the version that the recipe pins.")


def plain_labels(names: Sequence[str]) -> list[str]:
    """What each class is called in a pretext sample: "a dog" for all breeds, an article before the others."""
    labels = [_plain(name) for name in names]
    for (first, last), label in RANGES.items():
        for number in range(names.index(first), names.index(last) + 1):
            labels[number] = label
    for label, members in GROUPS.items():
        for member in members.split("|"):
            labels[names.index(member)] = label
    return labels


def _plain(name: str) -> str:
    noun = re.sub(r" \(.*\)", "", name).split(" / ")[0].split(" or ")[0]
    return noun if noun in UNCOUNTED else with_article(noun)


def with_progress(rows: Iterable[dict[str, Any]], total: int) -> Iterator[dict[str, Any]]:
    """The rows, saying now and then how many have passed."""
    start = time.monotonic()
    for number, row in enumerate(rows):
        if number % 500 == 0:
            logger.info("%d of %d photos, %.0f s", number, total, time.monotonic() - start)
        yield row


class NotingTeacher:
    """A classifier that notes how sure it was.

    Args:
        teacher: gives the labels.
    """

    def __init__(self, teacher: ClassifierTeacher):
        self.teacher = teacher
        self.noted: list[tuple[str, float]] = []

    def __call__(self, photos: Sequence[Image.Image]) -> list[str | None]:
        found = self.teacher.likeliest(photos)
        self.noted += found
        return [label for label, _ in found]


def prompt_label(prompt: str) -> str | None:
    """What an image that shows its prompt is of, if a plain word says it."""
    words = set(re.findall(r"[a-z]+", prompt.lower()))
    return next((label for label, known in PROMPT_WORDS.items() if words & set(known.split("|"))), None)


def label_contents(data: Path, work: Path, least_confidence: float) -> None:
    """Writes WORK/contents.json and how sure its labels are.

    Args:
        least_confidence: with which a label is given.
    """
    labels = plain_labels(class_names(fetch(CLASS_NAMES, work)))
    teacher = NotingTeacher(ClassifierTeacher(Classifier(fetch(VISION, work)), labels))
    pool = open_pool([data / folder for folder in FOLDERS])
    seen = label_pool(with_progress(pool, len(pool)), teacher, BATCH_SIZE)
    likeliest = {key: noted for key, noted in zip(seen, teacher.noted, strict=True)}
    for image in read_generated(data, RatingScale()):
        if image.fit >= LEAST_FIT and (label := prompt_label(image.prompt)) is not None:
            likeliest[photo_key(image)] = (label, PROMPT_CONFIDENCE)
    (work / CONFIDENCES).write_text(json.dumps(likeliest, indent=1) + "\n")
    contents = {key: label for key, (label, confidence) in likeliest.items() if confidence >= least_confidence}
    save_contents(contents, work / CONTENTS)
    kinds = Counter(contents.values())
    logger.info("%d of %d photos have a label; the commonest: %s", len(contents), len(pool), kinds.most_common(12))


def sure_contents(work: Path, least_confidence: float) -> dict[str, str]:
    """What photos surely show, by key; only what has a plain name.

    Args:
        least_confidence: with which a label counts as sure.
    """
    named = ({*RANGES.values(), *GROUPS.values(), *NAMED_CLASSES} - {*NOT_NAMED}) | {*PROMPT_WORDS}
    likeliest = json.loads((work / CONFIDENCES).read_text())
    return {key: label for key, (label, confidence) in likeliest.items() if confidence >= least_confidence and label in named}
