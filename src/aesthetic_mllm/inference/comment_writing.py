"""Comments in words that are the model's own, that say nothing twice, and claim only what measurements of the photo bear out."""

import logging
import re
from collections.abc import Mapping, Sequence

import torch

from ..editing.claims.comment_claims import find_claims
from ..editing.claims.comment_faults import Fault, inner_faults, unfounded_claims
from ..editing.claims.photo_evidence import PhotoEvidence
from ..engine.engine import AestheticEngine, EncodedPhotos
from ..tasks.commenting import CommentStyle
from ..tasks.ngram_overlap import TRAINING_NGRAMS, TrainingNgrams, repeats
from .mean_visual_tokens import MEAN_VISUAL_TOKENS, mean_photo_features

logger = logging.getLogger(__name__)

CLAUSE_ENDS = (",", ";", ":", ".", "!", "?")
MOST_CORRECTIONS = 24  # of a comment; it ends where the next one would be
MOST_BEGINNINGS = 4  # that are tried at one place, before one further back is
# Words that say nothing yet: where a claim is refused, what comes after them is chosen anew ...
_OPENING_WORDS = frozenset(("the", "a", "it", "is", "there"))
# ... as it is after these, but within "a play of light and dark" and "a dull, pale colour", and where only a fault could follow.
_PART_BEGINS = re.compile(r"([.!?;:,]|(?<!\blight)(?<!\bdark) and| with| by|thanks to)$")
_WITHIN_A_PART = re.compile(r"(\b(an?|and|with|by|to|but|despite)|,) \w+,$|\b(sadly|however|still),$", re.IGNORECASE)
_TURN = re.compile(r",?\s*(but|despite|even)\b")
_LEFT_OPEN = re.compile(r"(\W+(sadly|however|still))?\W+$", re.IGNORECASE)


class CommentWriter:
    """Writes comments greedily, away from what is said of any photo, and goes back where one repeats texts of training or itself.

    What goes wrong is known at the token that completes the n-gram. The clause that it stands in may then not begin as it
    did, and the comment goes on from there as the model likes best otherwise.

    Args:
        engine: that writes.
        known: n-grams of words of the texts that it was trained on; `None`: nothing is known of them.
        mean_tokens: the visual tokens of the average photo ([`mean_photo`]); `None`: comments are not guided.
    """

    def __init__(
        self,
        engine: AestheticEngine,
        known: TrainingNgrams | None = None,
        mean_tokens: Mapping[str, torch.Tensor] | None = None,
    ):
        self.engine, self.known, self.mean_tokens = engine, known, mean_tokens
        self._mean_photos: dict[torch.device, EncodedPhotos] = {}  # by device, because a model may be moved

    @classmethod
    def of_engine(cls, engine: AestheticEngine) -> "CommentWriter":
        """With the side files that the engine's checkpoint carries."""
        ngrams, photo = (engine.processor.side_files.get(name) for name in (TRAINING_NGRAMS, MEAN_VISUAL_TOKENS))
        return cls(engine, TrainingNgrams.from_side_file(ngrams) if ngrams else None, photo.tensors if photo else None)

    def write(
        self,
        encoded: EncodedPhotos,
        request: str,
        style: CommentStyle,
        evidence: Sequence[PhotoEvidence] | None = None,
    ) -> list[str]:
        """A comment on each photo.

        Args:
            request: the user's words that ask for it.
            evidence: of each photo; `None`: claims are not checked, neither against photos nor against each other.
        """
        prompt = self.engine.prompt(request)
        written = self.engine.write(encoded, prompt, style.max_new_tokens, away_from=self._mean_photo())
        corrected = [
            self._with_a_claim(tokens, encoded, prompt, style, photo, evidence[photo])
            if evidence
            else self._corrected(tokens, encoded, prompt, style, photo, None)
            for photo, tokens in enumerate(written)
        ]
        return [_ended(self._text(tokens)) for tokens in corrected]

    def _with_a_claim(
        self,
        tokens: list[int],
        encoded: EncodedPhotos,
        prompt: Sequence[int],
        style: CommentStyle,
        photo: int,
        evidence: PhotoEvidence,
    ) -> list[int]:
        """A corrected comment. Where it claims nothing, its last part begins with other words until it does, if it ever does."""
        corrected = self._corrected(tokens, encoded, prompt, style, photo, evidence)
        if find_claims(self._text(corrected)):
            return corrected
        place = self._parts(corrected, len(corrected) - 1)[0]
        kept, tried = corrected[:place], corrected[place : place + 1]
        for _ in range(MOST_BEGINNINGS):
            rest = self._go_on(kept, tried, encoded, prompt, style, photo)
            other = self._corrected(kept + rest, encoded, prompt, style, photo, evidence)
            if find_claims(self._text(other)):
                return other
            tried += rest[:1]
        return corrected

    def _go_on(
        self,
        kept: Sequence[int],
        forbidden: Sequence[int],
        encoded: EncodedPhotos,
        prompt: Sequence[int],
        style: CommentStyle,
        photo: int,
    ) -> list[int]:
        """What the model likes best to say after some tokens, if it may not begin with others."""
        most = style.max_new_tokens - len(kept)
        (rest,) = self.engine.write(
            encoded, [*prompt, *kept], most, not_first=forbidden, photo=photo, away_from=self._mean_photo()
        )
        return rest

    def _corrected(
        self,
        tokens: list[int],
        encoded: EncodedPhotos,
        prompt: Sequence[int],
        style: CommentStyle,
        photo: int,
        evidence: PhotoEvidence | None,
    ) -> list[int]:
        forbidden: dict[int, list[int]] = {}  # by place
        settled: set[int] = set()  # places where nothing else can be said
        for _ in range(MOST_CORRECTIONS):
            end = self._refused_at(tokens, evidence)
            if end is None:
                return tokens
            place = self._other_beginning(tokens, end, forbidden, settled)
            if place is None:
                break
            kept = tokens[:place]
            forbidden.setdefault(place, []).append(tokens[place])
            logger.debug("comment %r may not go on with %r", self._text(kept), self._text(tokens[place : place + 1]))
            rest = self._go_on(kept, forbidden[place], encoded, prompt, style, photo)
            if rest or self._text(kept).endswith(CLAUSE_ENDS[3:]):
                tokens, settled = kept + rest, {one for one in settled if one < place}
            else:
                settled.add(place)
        while (end := self._refused_at(tokens, evidence)) is not None:
            tokens = tokens[: self._clause(tokens, end)]
        return tokens

    def _other_beginning(
        self, tokens: Sequence[int], end: int, forbidden: Mapping[int, Sequence[int]], settled: set[int]
    ) -> int | None:
        """Where the comment goes on otherwise than with what a token completes; `None` if nothing else can be said anywhere."""
        parts = self._parts(tokens, end)
        if self._overlaps(tokens[: end + 1]):
            clause = self._clause(tokens, end)
            return next((place for place in (clause, *parts) if place <= clause and place not in settled), None)
        places = [place for place in parts if place not in settled]
        untried = (place for place in places if len(forbidden.get(place, ())) < MOST_BEGINNINGS)
        return next(untried, places[-1] if places else None)

    def _mean_photo(self) -> EncodedPhotos | None:
        """The average photo; what it reads of prompts is kept.

        Raises:
            CommentingError: the average photo is another model's.
        """
        if self.mean_tokens is None:
            return None
        model = self.engine.model
        if model.device not in self._mean_photos:
            features = mean_photo_features(self.mean_tokens, model, self.engine.processor.num_group_tokens)
            self._mean_photos[model.device] = EncodedPhotos(features)
        return self._mean_photos[model.device]

    def _refused_at(self, tokens: Sequence[int], evidence: PhotoEvidence | None) -> int | None:
        """The first token that completes what is not wanted; `None` if the comment is wanted."""
        faults, overlaps = self._faults(self._text(tokens), evidence), self._overlaps(tokens)
        if not (faults or overlaps):
            return None
        beginnings = ((end, tokens[: end + 1]) for end in range(len(tokens)))
        return next(
            end
            for end, told in beginnings
            if (overlaps and self._overlaps(told)) or faults & self._faults(self._text(told), evidence)
        )

    def _clause(self, tokens: Sequence[int], end: int) -> int:
        """Where the clause of a token begins; of the first clause the token itself."""
        return next((start for start in range(end, 0, -1) if self._text(tokens[:start]).endswith(CLAUSE_ENDS)), end)

    def _parts(self, tokens: Sequence[int], end: int) -> list[int]:
        """Where a sentence may go on otherwise than with the claim that a token completes, the nearest first."""
        sentence = next((start for start in range(end, 0, -1) if self._text(tokens[:start]).endswith(CLAUSE_ENDS[3:])), 0)
        parts = [start for start in range(end, sentence, -1) if self._begins_part(tokens, start)] + [sentence]
        said = parts[0]
        while said < end and self._text(tokens[said : said + 1]).lower() in _OPENING_WORDS:
            said += 1
        return list(dict.fromkeys((said, *parts)))

    def _begins_part(self, tokens: Sequence[int], start: int) -> bool:
        before, after = self._text(tokens[:start]), self._text(tokens[start:])
        if _TURN.match(after):  # the comma before it has to go as well
            return not before.endswith(",")
        return bool(_PART_BEGINS.search(before)) and not _WITHIN_A_PART.search(before)

    def _faults(self, text: str, evidence: PhotoEvidence | None) -> set[Fault]:
        return inner_faults(text) | unfounded_claims(text, evidence) if evidence is not None else set()

    def _overlaps(self, tokens: Sequence[int]) -> bool:
        """Whether it repeats itself, or shares an n-gram with what the model was trained on."""
        text = self._text(tokens)
        return repeats(text) or (self.known is not None and self.known.shares(text))

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.engine.processor.tokenizer.decode(tokens, skip_special_tokens=True)).strip()


def _ended(text: str) -> str:
    """A comment whose last clause was left out, with a full stop."""
    return _LEFT_OPEN.sub(".", text) if text.endswith(CLAUSE_ENDS[:3]) else text
