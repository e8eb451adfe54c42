"""Comments in words that are the model's own, and that say nothing twice."""

import logging
import re
from collections.abc import Mapping, Sequence

import torch

from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..tasks.commenting import CommentStyle
from ..tasks.quoting import TRAINING_NGRAMS, KnownRuns, repeats
from .question_forking import SharedPrefix
from .usual_photo import MEAN_VISUAL_TOKENS, usual_features

logger = logging.getLogger(__name__)

CLAUSE_ENDS = (",", ";", ":", ".", "!", "?")
MOST_CORRECTIONS = 16  # of a comment; it ends where the next one would be


class CommentWriter:
    """Writes comments greedily, away from what is said of any photo, and goes back where one begins to quote or to repeat itself.

    What goes wrong is known at the token that completes the run of words. The clause that it stands in may then not begin as it
    did, and the comment goes on from there as the model likes best otherwise.

    Args:
        processor: of the model that writes.
        known: runs of words of the texts that it was trained on; `None`: nothing is known of them.
        usual: the visual tokens of a photo that is like most ([`mean_photo`]); `None`: comments are not guided.
    """

    def __init__(
        self,
        processor: AestheticMLLMProcessor,
        known: KnownRuns | None = None,
        usual: Mapping[str, torch.Tensor] | None = None,
    ):
        self.processor, self.known, self.usual = processor, known, usual
        self._usual_prefixes: dict[tuple[torch.device, tuple[int, ...]], SharedPrefix] = {}  # by device and tokens

    @classmethod
    def of_processor(cls, processor: AestheticMLLMProcessor) -> "CommentWriter":
        """With the side files that the processor's checkpoint carries."""
        runs, photo = (processor.side_files.get(name) for name in (TRAINING_NGRAMS, MEAN_VISUAL_TOKENS))
        return cls(processor, KnownRuns.from_side_file(runs) if runs else None, photo.tensors if photo else None)

    def write(self, shared: SharedPrefix, suffix: Sequence[int], style: CommentStyle) -> list[str]:
        """A comment on each of the prefix's photos."""
        written = shared.write(suffix, self.processor.end_of_turn_ids, style.max_new_tokens, usual=self._usual_prefix(shared))
        corrected = [self._corrected(tokens, shared, suffix, style, photo) for photo, tokens in enumerate(written)]
        return [re.sub(r"\s*[,;:]$", ".", self._text(tokens)) for tokens in corrected]  # where a last clause was left out

    def _corrected(
        self, tokens: list[int], shared: SharedPrefix, suffix: Sequence[int], style: CommentStyle, photo: int
    ) -> list[int]:
        forbidden: dict[int, list[int]] = {}  # by place
        for _ in range(MOST_CORRECTIONS):
            place = self._refused_at(tokens)
            if place is None:
                return tokens
            kept = tokens[:place]
            forbidden.setdefault(place, []).append(tokens[place])
            logger.debug("comment %r may not go on with %r", self._text(kept), self._text(tokens[place : place + 1]))
            most, stop_ids = style.max_new_tokens - place, self.processor.end_of_turn_ids
            (rest,) = shared.write([*suffix, *kept], stop_ids, most, forbidden[place], photo, self._usual_prefix(shared))
            tokens = kept + rest
        return tokens[: self._refused_at(tokens)]

    def _usual_prefix(self, shared: SharedPrefix) -> SharedPrefix | None:
        """A prefix's tokens with the usual photo, read once.

        Raises:
            CommentingError: the usual photo is another model's.
        """
        key = (shared.model.device, tuple(shared.ids))  # a model may be moved
        if self.usual is not None and key not in self._usual_prefixes:
            features = usual_features(self.usual, shared.model, self.processor.num_group_tokens)
            self._usual_prefixes[key] = SharedPrefix(shared.model, shared.ids, features)
        return self._usual_prefixes.get(key)

    def _refused_at(self, tokens: Sequence[int]) -> int | None:
        """Where the first clause begins that makes a comment one that is not wanted; of the first clause the token that does."""
        if not self._refuses(tokens):
            return None
        place = next(end for end in range(len(tokens)) if self._refuses(tokens[: end + 1]))
        return next((start for start in range(place, 0, -1) if self._text(tokens[:start]).endswith(CLAUSE_ENDS)), place)

    def _refuses(self, tokens: Sequence[int]) -> bool:
        text = self._text(tokens)
        return repeats(text) or (self.known is not None and self.known.shares(text))

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.processor.tokenizer.decode(tokens, skip_special_tokens=True)).strip()
