"""What visual tokens say to nano's language model: bins of attributes, edits, ratings, and what is to be seen, each as a vector.

The language model learns to read them (`coded_pretext_samples.py`), then the alignment module learns to say them
(`coded_alignment.py`). Each attribute has a visual token of its own level: the sum of the attribute's key and of its bin's
vector, which is made of the bin's words, or lies between those of two bins. Keys are learned, by the language model's need to
find what it is asked for. An edit is a direction of one token, a rating one of all tokens; these are drawn at random, and so
nearly orthogonal.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.pretext.phrase_bank import BINS, PhraseBank
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.pretext_collator import PretextVocabulary

CODES = "codes.safetensors"
# One unit of a direction, as a share of a word embedding's mean length. A strong edit has two.
UNIT = 0.5
EDIT_UNITS = 2.0
SHARED = 0.7  # of what the words of an attribute's bins have in common, that is taken from them
TOKEN_NOISE = 0.3  # of each token beside the others of its photo, in units, over all directions together


def question_name(question: str) -> str:
    """Of the direction that answers a question of the rating scale."""
    return f"{question}?"


def rating_value(scale: RatingScale, mean: float) -> float:
    """A rating as the value of its direction: -2 for the worst, 2 for the best."""
    low, high = scale.score_range
    return 4 * (mean - low) / (high - low) - 2


class Codebook(nn.Module):
    """Vectors that are used at fixed lengths, whatever length they are stored at; the keys are parameters.

    Args:
        embedding: [V, D] the language model's input embeddings; copied, so that codes stay while those go on learning.
        processor: whose tokenizer, rating scale and numbers of tokens are used.
        bank: whose attributes and edits can be told.
        seed: of the vectors that are not made of words.

    Raises:
        ValueError: a level has more attributes than tokens.
    """

    def __init__(self, embedding: torch.Tensor, processor: AestheticMLLMProcessor, bank: PhraseBank, seed: int = 0):
        super().__init__()
        self.register_buffer("embedding", embedding.detach().clone())
        self.processor = processor
        self.counts = processor.num_group_tokens
        self.vocabulary = PretextVocabulary(bank)
        for level, names in self.vocabulary.attributes.items():
            if len(names) > self.counts[level]:
                raise ValueError(f"{len(names)} attributes of {level} level do not fit into {self.counts[level]} tokens.")
        self.length = float(self.embedding.norm(dim=1).mean())
        self.unit = UNIT * self.length
        self.attributes = {name: number for number, name in enumerate(bank.attributes)}
        self.names = [*bank.edits, *map(question_name, processor.rating_scale.questions)]
        size = embedding.shape[1]
        generator = torch.Generator().manual_seed(seed)

        def vectors(count: int) -> torch.Tensor:
            return torch.randn(count, size, generator=generator) * self.length / size**0.5

        # Random and learned, not the words of the attribute's name: as the sum of two words' embeddings a token is not read.
        self.keys = nn.Parameter(vectors(len(self.attributes)))
        bins = [torch.stack([self.words(bin[:1]) for bin in words["bins"]]) for words in bank.attributes.values()]
        # "very dark" and "rather dark" share a word, which tells nothing between them
        self.register_buffer("all_bins", torch.stack([words - SHARED * words.mean(0) for words in bins]))
        self.register_buffer("all_directions", vectors(len(self.names)))

    def key(self, attribute: str) -> torch.Tensor:
        """[D]."""
        return F.normalize(self.keys[self.attributes[attribute]], dim=0) * self.length

    def bins(self, attribute: str) -> torch.Tensor:
        """[BINS, D]."""
        return F.normalize(self.all_bins[self.attributes[attribute]], dim=1) * self.length

    def directions(self, names: Sequence[str]) -> torch.Tensor:
        """Of edits and questions, one unit long: [names, D]."""
        return F.normalize(self.all_directions[[self.names.index(name) for name in names]], dim=1) * self.unit

    def words(self, texts: Sequence[str]) -> torch.Tensor:
        """Mean embedding of the texts' words, as long as a word's embedding is: [D]."""
        ids = [token for text in texts for token in self.encode(text)]
        return F.normalize(self.embedding[ids].mean(0), dim=0) * self.length

    def place(self, attribute: str, level: str) -> int:
        """Which token of its level tells the attribute."""
        return self.vocabulary.attributes[level].index(attribute)

    def edit_place(self, edit: str, level: str) -> int:
        """Which token of its level an edit changes."""
        return self.vocabulary.edits[level].index(edit) % self.counts[level]

    def tokens(
        self,
        group: str,
        attributes: Mapping[str, float],
        edits: Mapping[str, float],
        ratings: Mapping[str, float],
        content: str = "",
    ) -> torch.Tensor:
        """A photo's visual tokens of one group: [N, D].

        Args:
            attributes: of the group's level, values from -2 (lowest bin) to 2.
            edits: of the group's level, in units; a strong one has 2.
            ratings: by question, from -2 to 2.
            content: what the photo shows; its words' embeddings take the tokens that attributes leave.
        """
        count, size = self.counts[group], self.embedding.shape[1]
        tokens = torch.randn(count, size) * (TOKEN_NOISE * self.unit / size**0.5)
        if attributes:
            own = [self.attributes[name] for name in attributes]
            values = torch.tensor([min(max(value + (BINS - 1) / 2, 0.0), BINS - 1.0) for value in attributes.values()])
            below = values.long().clamp(max=BINS - 2)
            bins = F.normalize(self.all_bins[own], dim=2) * self.length  # [attributes, BINS, D]
            rows = torch.arange(len(own))
            said = torch.lerp(bins[rows, below], bins[rows, below + 1], (values - below)[:, None])
            said = said + F.normalize(self.keys[own], dim=1) * self.length
            tokens = tokens.index_add(0, torch.tensor([self.place(name, group) for name in attributes]), said)
        if edits:
            amounts = torch.tensor(list(edits.values()))[:, None]
            places = torch.tensor([self.edit_place(name, group) for name in edits])
            tokens = tokens.index_add(0, places, amounts * self.directions(list(edits)))
        if content:
            first = len(self.vocabulary.attributes.get(group, ()))
            seen = self.embedding[self.encode(content)[: count - first]]
            tokens = tokens.index_add(0, torch.arange(first, first + len(seen)), seen)
        if ratings:
            values = torch.tensor(list(ratings.values()))
            tokens = tokens + values @ self.directions([question_name(key) for key in ratings])
        return tokens

    def encode(self, text: str) -> list[int]:
        return self.processor.tokenizer.encode(f" {text.strip()}", add_special_tokens=False)

    def save(self, work: Path) -> None:
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, work / CODES)

    @classmethod
    def load(cls, work: Path, processor: AestheticMLLMProcessor, bank: PhraseBank) -> "Codebook":
        """What `save` wrote, as constants."""
        state = load_file(work / CODES)
        book = cls(state["embedding"], processor, bank)
        book.load_state_dict(state)
        return book.requires_grad_(False)
