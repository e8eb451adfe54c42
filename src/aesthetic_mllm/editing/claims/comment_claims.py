"""What a comment claims of a photo, by rules, and whether measurements of the photo bear it out.

A claim is a word said of the photo or of its light, colours, detail and so on, such as "the light is dark" or "vivid colours". No
claims are: words denied ("not dark", "neither dark nor bright"), unless the denial itself claims ("no noise", "not sharp"); words
said of a part ("a dark sky") or of something unknown ("a dark horse"); wishes ("it could be bright"); and what the photo is said
to be of ("a photo of fog").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .claim_rules import BACKGROUND, CAST, CLAIM_RULES, COLOUR, DETAIL, GRAIN, LIGHT, LINES, MOOD, PARTS, PHOTO, SUBJECT

_NOUNS = PHOTO | LIGHT | COLOUR | CAST | DETAIL | BACKGROUND | SUBJECT | MOOD | LINES | GRAIN | PARTS | {"palette"}
# adjective -> (claim, nouns) for all claims that it can make
_ADJECTIVES: dict[str, list[tuple[str, frozenset[str]]]] = {}
for _name, _rule in CLAIM_RULES.items():
    for _words, _nouns in _rule.adjectives:
        for _word in _words.split():
            _ADJECTIVES.setdefault(_word, []).append((_name, _nouns))
_PATTERNS = [(name, re.compile(rf"\b(?:{pattern})\b")) for name, rule in CLAIM_RULES.items() for pattern in rule.patterns]
# Adjectives that claim nothing; a noun may follow them.
_EMPTY = frozenset(
    "good bad nice beautiful lovely poor weak open deep rich natural interesting main overall own very fine quiet little "
    "different visible slight whole equally clearly slightly moody distracting pleasant wonderful rough hard loose tight".split()
)
_FUNCTION = frozenset(
    "the a an of to in on at is are was were be been it its this that these those and but or with without for as i you my too so "
    "from by if there here overall though although while which who what when despite thanks even still sadly however well much "
    "more most less than then also just only both all some any no not neither nor into over under between because since due "
    "making gives giving make makes adds helps hurts look looks looking seem seems seemed feel feels appear appears has have "
    "would could should can will one such quite rather bit enough again almost perhaps maybe far together do does did".split()
)
_COPULAS = frozenset("is are was were be looks look seems seem feels feel appears appear".split())
_ADVERBS = frozenset("too very so quite rather a little bit much far more somewhat just not".split())
_PRONOUNS = frozenset("it this everything overall".split())
_BREAKS = frozenset("but though although while yet whereas : ;".split())
_INTENSIFIERS = frozenset("very too much far so extremely strongly clearly definitely really highly strong".split())
_EXTREMES = frozenset("garish glaring dazzling overexposed underexposed oversaturated".split())  # extreme without them
_DENIALS = frozenset("not no never neither nor nothing without hardly barely scarcely less".split())
_REACH = 4  # words that a denial reaches ahead
_WISHES = re.compile(r"\b(would|could|should|might|wish|if|needs?)\b")
_CONTENT = re.compile(
    r"\b(?:(?:photo|picture|image|photograph|shot) of|shows|theme is|we see) .*?"
    r"(?=[,:;]|$| (?:with|despite|thanks|even|held back|in which|that|which|but|though)\b)"
)
_SPELLINGS = (
    (re.compile(r"n['’]t\b"), " not"),
    (re.compile(r"\b(do|does|is|are|was|did)nt\b"), r"\1 not"),
    (re.compile(r"\bcannot\b"), "can not"),
    (re.compile(r"['’]"), ""),
    (re.compile(r"colou?r"), "colour"),
    (re.compile(r"\bgray"), "grey"),
    (re.compile(r"cent(?:re|er)(?=d|s?\b)"), "centre"),
    (re.compile(r"\boff[ -](?:of )?centre(?:d)?\b"), "off-centre"),
    (re.compile(r"\bwashed[ -]out\b"), "washed-out"),
    (re.compile(r"\bwell[ -](filled|balanced)\b"), r"well-\1"),
    (re.compile(r"\bblack and white\b"), "monochrome"),
    (re.compile(r"\blight and dark\b|\bdark and light\b"), "light-and-dark"),
    (re.compile(r"\b(?:out of|not in) focus\b"), "out-of-focus"),
    (re.compile(r"\bin(?: sharp| good| perfect)? focus\b"), "in-focus"),
    (re.compile(r"\bdepth of field\b|\bd\.?o\.?f\b"), "dof"),
    (re.compile(r"\bnot only\b"), "indeed"),
)
_TOKEN = re.compile(r"[a-z0-9]+(?:-[a-z]+)*|[,:;]")


class CommentClaimError(ValueError):
    """A claim about what was not measured."""


@dataclass(frozen=True)
class Claim:
    """A claim of [`CLAIM_RULES`].

    Args:
        name: of the claim.
        sentence: in which it was found, as it was normalised.
        is_strong: whether it claims an extreme, as "very dark" and "too dark" do.
        is_repeated: whether it is made of several nouns, as in "warm colours and a warm tone"; "dull, pale colours" is one.
    """

    name: str
    sentence: str
    is_strong: bool = False
    is_repeated: bool = False

    @property
    def attribute(self) -> str:
        """The measured attribute that decides it."""
        return CLAIM_RULES[self.name].attribute


@dataclass(frozen=True)
class CheckedClaim:
    """A claim, and whether the photo's measurements bear it out."""

    claim: Claim
    right: bool


def find_claims(comment: str) -> tuple[Claim, ...]:
    """The claims of a comment in order, each once however often it is said."""
    found: dict[str, Claim] = {}
    for sentence in re.split(r"[.!?\n]+(?=\s|$)", _normalised(comment)):
        mentions = sorted(_in_sentence(_CONTENT.sub("", sentence.strip())))
        for name in dict.fromkeys(mention.name for mention in mentions):
            same = [mention for mention in mentions if mention.name == name]
            before = found.get(name)
            found[name] = Claim(
                name,
                before.sentence if before else sentence.strip(),
                any(mention.is_strong for mention in same) or (before is not None and before.is_strong),
                before is not None or len({mention.of for mention in same}) > 1,
            )
    return tuple(found.values())


def check_claims(comment: str, bins: Mapping[str, int]) -> list[CheckedClaim]:
    """Each claim of a comment, and whether it is right.

    Args:
        bins: of the photo's measured attributes, as `PoolStatistics.bin` gives them.

    Raises:
        CommentClaimError: a claim about an attribute that was not measured.
    """
    checked = []
    for claim in find_claims(comment):
        if claim.attribute not in bins:
            raise CommentClaimError(f"The comment {comment!r} claims {claim.name!r}, but {claim.attribute} was not measured.")
        checked.append(CheckedClaim(claim, bins[claim.attribute] in CLAIM_RULES[claim.name].bins))
    return checked


def _normalised(text: str) -> str:
    text = text.lower()
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return text


class _Mention(NamedTuple):
    """A claim at its place in a sentence; `of` is the token of the noun it is made of."""

    start: int
    name: str
    of: int
    is_strong: bool


def _in_sentence(sentence: str) -> set[_Mention]:
    """The claims in a normalised sentence."""
    tokens = [(match.start(), match[0]) for match in _TOKEN.finditer(sentence)]
    words = [word for _, word in tokens]
    found = set()
    for index, (start, word) in enumerate(tokens):
        amount = word in ("little", "few") and index and words[index - 1] == "a"
        if word not in _ADJECTIVES or amount or words[index + 1 : index + 2] == ["of"]:  # "a level of", "a few"
            continue
        noun, of = _noun_of(words, index)
        for name, nouns in _ADJECTIVES[word]:
            if noun in nouns and (claimed := _unless_denied(name, words, index)):
                is_strong = claimed == name and (word in _EXTREMES or (index > 0 and words[index - 1] in _INTENSIFIERS))
                found.add(_Mention(start, claimed, of, is_strong))
    for name, pattern in _PATTERNS:
        for match in pattern.finditer(sentence):
            index = sum(start < match.start() for start, _ in tokens)
            if claimed := _unless_denied(name, words, index):
                is_strong = claimed == name and not {"too", "very"}.isdisjoint(match[0].split())
                found.add(_Mention(match.start(), claimed, index, is_strong))
    return found


def _noun_of(words: Sequence[str], index: int) -> tuple[str | None, int]:
    """The noun an adjective belongs to, and its place: the one that follows it, or else the nearest before.

    "" is the photo itself, `None` a noun that we do not know.
    """
    end, start = index + 1, index - 1
    while start >= 0 and (words[start] in _ADVERBS or words[start].endswith("ly")):
        start -= 1
    is_said = start >= 0 and words[start] in _COPULAS  # "it is dark and ..."
    if words[max(0, index - 1)] in ("too", "so", "as") and words[end : end + 1] in (["a"], ["an"]):
        end += 1  # "too dark an exposure"
    while end < len(words):
        joins = not is_said and words[end] in (",", "and") and end + 1 < len(words) and _is_adjective(words[end + 1])
        if not (joins or _is_adjective(words[end])):
            break
        end += 1
    follows = words[end] if end < len(words) else ":"
    if follows in _NOUNS - _PRONOUNS:
        return follows, end
    if not (follows in _FUNCTION | _BREAKS | _PRONOUNS | {","} or follows.endswith("ly")):
        return None, end
    for place in range(index - 1, -1, -1):
        if words[place] in _BREAKS:
            return "", place
        if words[place] in _NOUNS and words[place] != "look":  # there it is a verb
            return words[place], place
    return "", -1


def _is_adjective(word: str) -> bool:
    return word in _ADJECTIVES or word in _EMPTY


def _unless_denied(name: str, words: Sequence[str], index: int) -> str | None:
    """The claim, what denying it claims, or `None`."""
    clause: list[str] = []  # what stands before, nearest first
    for place in range(index - 1, -1, -1):
        listed = words[place] == "and" and words[place - 1] in _NOUNS  # "no colour and sharp detail"
        if words[place] in _BREAKS or words[place] == "," or listed:
            break
        clause.append(words[place])
    if _WISHES.search(" ".join(clause)):
        return None
    denied = any(_denies(clause, place) for place in range(min(_REACH, len(clause))))
    return CLAIM_RULES[name].denied if denied else name


def _denies(before: Sequence[str], place: int) -> bool:
    word, after = before[place], before[place - 1] if place else ""
    if word in ("far", "free"):
        return after in ("from", "of")  # not "far too dark"
    if word == "little":  # "little noise", not "a little noise", "a little soft"
        return place == 0 and before[1:2] != ["a"]
    return word in _DENIALS
