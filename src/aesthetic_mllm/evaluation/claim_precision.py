"""How many claims of comments are right, with intervals."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..editing.claims.comment_claims import CheckedClaim
from ..trainers.intervals import wilson_interval


def claim_precision(checked: Iterable[CheckedClaim]) -> dict[str, Any]:
    """Claims, right ones, precision (`None` without claims) and its 95% interval."""
    right = [one.right for one in checked]
    if not right:
        return {"claims": 0, "right": 0, "precision": None, "interval": None}
    return {
        "claims": len(right),
        "right": sum(right),
        "precision": sum(right) / len(right),
        "interval": list(wilson_interval(sum(right), len(right))),
    }


def precision_by(checked: Sequence[CheckedClaim], part: str) -> dict[str, dict[str, Any]]:
    """Precision by "attribute" or by claim ("name"), those with most claims first."""
    groups: dict[str, list[CheckedClaim]] = {}
    for one in checked:
        groups.setdefault(getattr(one.claim, part), []).append(one)
    return {name: claim_precision(groups[name]) for name in sorted(groups, key=lambda name: -len(groups[name]))}
