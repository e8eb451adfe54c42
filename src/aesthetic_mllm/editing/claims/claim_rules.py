"""Which words claim what of a photo, and what makes a claim right: the rules by which `comment_claims` reads comments.

A claim is right in the two bins on its side of the pool's middle one. Level is the middle bin alone, within 1.5 degrees; tilted
is any other.
"""

from dataclasses import dataclass

LOW, HIGH = frozenset({0, 1}), frozenset({3, 4})
VISIBLE_NOISE = 1.5  # levels of 255

# Nouns as classes; "" stands for a word that belongs to no noun, and so to the photo.
PHOTO = frozenset(("", *"photo photograph picture image shot snapshot scene it this everything look overall frame whole".split()))
LIGHT = frozenset("light lighting exposure tone tones illumination brightness".split())
COLOUR = frozenset("colour colours palette hue hues saturation tint".split())
CAST = frozenset("tone tones cast light lighting balance temperature".split())
DETAIL = frozenset("detail details focus sharpness definition edges capture".split())
BACKGROUND = frozenset("background backdrop bokeh".split())
SUBJECT = frozenset("subject motif subjects".split())
MOOD = frozenset("mood atmosphere feeling feel".split())
LINES = frozenset("horizon camera lines line".split())
GRAIN = frozenset("noise grain".split())
# What is part of a photo: said of these, a word claims nothing of the whole.
PARTS = frozenset(
    "sky foreground corner corners edge border shadow shadows highlight highlights face faces eye eyes hair skin water side top "
    "bottom area areas part parts spot spots wall building tree trees surface blocks crop eye memory idea quality weight layout "
    "halves clarity point air view energy veil haze mist fog contrast contrasts dof space room framing composition "
    "symmetry".split()
)
# Between two words of one clause.
_GAP = r"\b(?:(?! and (?!(?:on|to|at|in|far|too)\b))[^,:])*?\b"
_TILT = r"(tilt|tilted|tilts|leans|leaning)"
_SUBJECT = r"(subject|motif)"


@dataclass(frozen=True)
class ClaimRule:
    """How one claim is worded, and where it is right.

    Args:
        attribute, bins: the claim is right where this measured attribute's bin is one of these.
        adjectives: words and the nouns of which they make the claim.
        patterns: regular expressions that make it, on text as `comment_claims` normalises it.
        denied: the claim that is made by denying this one; `None` where a denial claims nothing ("not dark").
        least: the value of the attribute below which nobody sees what is claimed, in whatever bin it is.
    """

    attribute: str
    bins: frozenset[int]
    adjectives: tuple[tuple[str, frozenset[str]], ...] = ()
    patterns: tuple[str, ...] = ()
    denied: str | None = None
    least: float | None = None


CLAIM_RULES: dict[str, ClaimRule] = {
    "dark": ClaimRule(
        "brightness", LOW,
        (("dark dim underexposed murky", PHOTO | LIGHT), ("low", frozenset({"brightness"}))),
        (r"too little light", r"(lack of|lacks|low in) light", r"in darkness"),
    ),
    "bright": ClaimRule(
        "brightness", HIGH,
        (("bright overexposed glaring luminous dazzling", PHOTO | LIGHT), ("high", frozenset({"brightness"}))),
        (r"too much light",),
    ),
    "strong_contrast": ClaimRule(
        "contrast", HIGH,
        (
            ("strong high harsh hard punchy stark dramatic marked", frozenset({"contrast", "contrasts"})),
            ("contrasty punchy", PHOTO | LIGHT),
        ),
        (r"(strong|marked) play of light-and-dark", r"high in contrast", r"(plenty|lots|a lot) of contrast"),
    ),
    "flat": ClaimRule(
        "contrast", LOW,
        (("flat low weak dull soft little", frozenset({"contrast", "contrasts"})), ("flat washed-out", PHOTO | LIGHT)),
        (r"(lack of|lacks|lacking|low in|lack in) contrast",),
    ),
    "hazy": ClaimRule(
        "haziness", HIGH, (("hazy misty foggy", PHOTO | LIGHT | frozenset({"air", "view"})),),
        (r"(haze|mist|fog|veil)(?! is (absent|low|missing))",),
        denied="clear",
    ),
    "clear": ClaimRule("haziness", LOW, (("clear", PHOTO - {"", "it", "this"} | LIGHT | frozenset({"air", "view"})),)),
    "vivid": ClaimRule(
        "saturation", HIGH,
        (
            ("vivid strong rich intense garish saturated vibrant bright bold oversaturated high lively", COLOUR - {"palette"}),
            ("colourful vivid garish saturated vibrant oversaturated", PHOTO | LIGHT | COLOUR),
        ),
        (r"(lots|a lot|plenty) of colour",),
    ),
    "pale": ClaimRule(
        "saturation", LOW,
        (
            ("pale muted drained faded dull washed-out weak soft subdued desaturated grey low", COLOUR),
            ("colourless monochrome desaturated pale muted", PHOTO | LIGHT | COLOUR),
        ),
        (r"hardly any colour", r"(almost|nearly) (no|without) colour", r"(lack of|lacks|lacking) colour"),
    ),
    "warm": ClaimRule("warmth", HIGH, (("warm golden yellowish", PHOTO | COLOUR | CAST),)),
    "cool": ClaimRule("warmth", LOW, (("cool", COLOUR | CAST), ("cold bluish icy", PHOTO | COLOUR | CAST))),
    "many_colours": ClaimRule(
        "palette_spread", HIGH, (("many", COLOUR), ("wide broad varied", frozenset({"palette"}))), (r"range of colours",)
    ),
    "few_colours": ClaimRule("palette_spread", LOW, (("few", COLOUR), ("narrow limited restricted", COLOUR))),
    "harmonious": ClaimRule(
        "harmony", HIGH, (("harmonious", COLOUR),), (r"colours( that)? (go|work|fit) (very )?well together",), denied="clashing"
    ),
    "clashing": ClaimRule(
        "harmony", LOW, (("clashing jarring", COLOUR),), (r"colours clash", r"colours( that)? do not (go together|match|fit)")
    ),
    "sharp": ClaimRule(
        "sharpness", HIGH,
        (("sharp crisp in-focus", DETAIL | PHOTO), ("fine", DETAIL - {"focus"}), ("high", frozenset({"sharpness"}))),
        (r"full of detail",),
        denied="soft",
    ),
    "soft": ClaimRule(
        "sharpness", LOW,
        (("soft blurred blurry unsharp fuzzy smeared out-of-focus", DETAIL | PHOTO), ("low", frozenset({"sharpness"}))),
        (r"(lack of|lacks|lacking|lacking in) (sharpness|detail|focus)",),
    ),
    "shallow": ClaimRule(
        "focus_contrast", HIGH,
        (("soft blurred blurry creamy smooth out-of-focus", BACKGROUND), ("shallow narrow", frozenset({"dof"}))),
    ),
    "deep": ClaimRule(
        "focus_contrast", LOW, (("sharp crisp in-focus", BACKGROUND), ("deep large wide", frozenset({"dof"})))
    ),
    "centred": ClaimRule(
        "off_centre", LOW,
        (("centred central", SUBJECT | PHOTO),),
        (_SUBJECT + _GAP + r"in the (very |dead )?(middle|centre)\b", r"dead centre"),
    ),
    "off_centre": ClaimRule(
        "off_centre", HIGH,
        (("off-centre decentred", SUBJECT | PHOTO),),
        (_SUBJECT + _GAP + r"(far from|beside|away from|off) the (middle|centre)", _SUBJECT + _GAP + r"to the edge"),
    ),
    "far_left": ClaimRule("subject_x", LOW, (), (_SUBJECT + _GAP + r"((on|to|at) the (far )?|far )left",)),
    "far_right": ClaimRule("subject_x", HIGH, (), (_SUBJECT + _GAP + r"((on|to|at) the (far )?|far )right",)),
    "large_subject": ClaimRule(
        "subject_size", HIGH, (("large big huge", SUBJECT),), (r"takes up (much|most)", r"fills the frame")
    ),
    "small_subject": ClaimRule("subject_size", LOW, (("small tiny", SUBJECT),)),
    "empty_space": ClaimRule(
        "negative_space", HIGH, (("empty", frozenset({"frame"})),), (r"(empty|negative|dead) (space|areas?)",)
    ),
    "full_frame": ClaimRule(
        "negative_space", LOW, (("crowded busy cluttered", PHOTO), ("full well-filled", frozenset({"frame"})))
    ),
    "symmetric": ClaimRule(
        "symmetry", HIGH,
        (("symmetric symmetrical", PHOTO | frozenset({"layout", "composition"})),),
        (r"symmetry", r"halves mirror"),
    ),
    "balanced": ClaimRule(
        "balance", HIGH,
        (("even perfect", frozenset({"balance", "weight"})), ("balanced well-balanced", PHOTO | frozenset({"composition"}))),
        (r"in balance",),
    ),
    "lopsided": ClaimRule(
        "balance", LOW,
        (("lopsided uneven unbalanced", PHOTO | frozenset({"balance", "composition"})),),
        (r"weight( lies)? on one side",),
    ),
    "level": ClaimRule("tilt", frozenset({2}), (("level", LINES | PHOTO), ("straight", LINES)), denied="tilted"),
    "tilted_left": ClaimRule("tilt", LOW, (), (_TILT + _GAP + r"(left|counterclockwise)",)),
    "tilted_right": ClaimRule("tilt", HIGH, (), (_TILT + _GAP + r"(right|clockwise)",)),
    "tilted": ClaimRule(
        "tilt", LOW | HIGH, (("crooked slanted slanting", LINES | PHOTO),),
        (_TILT + rf"(?!{_GAP}(left|right|clockwise|counterclockwise))",),
    ),
    "gloomy": ClaimRule(
        "pleasure", LOW, (("gloomy serious sombre bleak sad dark melancholy", MOOD), ("gloomy sombre bleak", PHOTO))
    ),
    "cheerful": ClaimRule("pleasure", HIGH, (("cheerful friendly happy joyful sunny", MOOD), ("cheerful joyful", PHOTO))),
    "calm": ClaimRule("arousal", LOW, (("calm quiet sleepy peaceful restful", MOOD), ("calm peaceful", PHOTO))),
    "lively": ClaimRule("arousal", HIGH, (("lively energetic exciting", MOOD | PHOTO),), (r"(a lot|full) of energy",)),
    "noisy": ClaimRule(
        "noise", HIGH, (("noisy grainy", PHOTO | DETAIL),),
        (r"(?<!low )(noise|grain)(?! (is|looks|level is) (low|absent|missing|well|under))",), denied="clean",
        least=VISIBLE_NOISE,
    ),
    "clean": ClaimRule("noise", LOW, (("clean", PHOTO - {"", "it", "this"}), ("low absent", GRAIN))),
}  # fmt: skip

# What is told of most often, and summed up by itself beside the sum of all.
MAIN_ATTRIBUTES = (
    "brightness", "sharpness", "saturation", "warmth", "noise", "haziness", "contrast", "off_centre", "tilt",
)  # fmt: skip

# Claims about different attributes of which one photo bears out only one; those about one attribute are told apart by their bins.
_OPPOSED = frozenset(
    frozenset(pair.split()) for pair in ("centred far_left", "centred far_right", "symmetric lopsided", "hazy strong_contrast")
)


def contradict(first: str, second: str) -> bool:
    """Whether two claims cannot both be right of one photo.

    Raises:
        KeyError: there is no such claim.
    """
    one, other = CLAIM_RULES[first], CLAIM_RULES[second]
    return (one.attribute == other.attribute and one.bins.isdisjoint(other.bins)) or frozenset((first, second)) in _OPPOSED
