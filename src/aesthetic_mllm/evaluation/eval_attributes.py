"""Whether attributes move as they should: photos damaged by edits of known strength.

A damage must lower the rating of the attribute that it is about ([`DAMAGES`]). Edits that no training shows are asked apart.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from .damages import DAMAGES, UNSEEN_DAMAGES, Damage

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor

STRENGTHS: Mapping[str, float] = {"slight": 0.5, "strong": 1.0}  # shares of an edit's strong amount
UNSEEN = "unseen edits"


def examine_photo(
    assessor: "AestheticAssessor",
    photo: Image.Image,
    seed: str,
    damages: Sequence[Damage] = DAMAGES,
    unseen: Sequence[Damage] = UNSEEN_DAMAGES,
    strengths: Mapping[str, float] = STRENGTHS,
) -> dict[tuple[str, str, str], list[bool]]:
    """By attribute or [`UNSEEN`], edit such as "exposure -" or "all", and strength: whether each view was rated lower.

    The photo is damaged by every edit at every strength; what the checkpoint does not rate is not asked. On a CPU core that takes
    about 25 seconds.

    Args:
        photo: an undamaged one that was not trained on.
        seed: of what is random in the damages, such as the photo's name.
        damages, unseen: what it is damaged by, the latter reported together.
        strengths: shares of each edit's strong amount, by name.

    Raises:
        RatingScaleError: the checkpoint rates no attributes.
    """
    rated_attributes = assessor.processor.rating_scale.attributes
    views, told = [photo], []
    for damage in (*damages, *unseen):
        for word, share in strengths.items():
            before, after = damage.pair(photo, share, random.Random(f"{seed}:{damage.edit}").randrange(2**31))
            told.append((damage, word, 0 if before is photo else len(views), len(views) + (before is not photo)))
            views += [after] if before is photo else [before, after]
    rated = assessor.attributes(views)
    moved: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for damage, word, first, second in told:
        for attribute in damage.about:
            if attribute in rated_attributes:
                group = UNSEEN if damage in unseen else attribute
                lower = rated[second][attribute].mean < rated[first][attribute].mean
                for edit in ("all", f"{damage.edit} {'+' if damage.sign > 0 else '-'}"):
                    moved[group, edit, word].append(lower)
    return dict(moved)


def in_order(assessor: "AestheticAssessor", keys: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Keys of [`examine_photo`]: attributes as the checkpoint has them, of each all edits together first."""
    order = [*assessor.processor.rating_scale.attributes, UNSEEN]
    return sorted(keys, key=lambda key: (order.index(key[0]), key[1] != "all", key[1:]))
