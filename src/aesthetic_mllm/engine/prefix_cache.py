"""Many prompts about the same photos: the photos and what the prompts begin with are read once, and only the rest for each."""

import copy
import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from transformers import Cache, LogitsProcessor, LogitsProcessorList

from ..modeling.model_outputs import CACHE, AestheticImageFeatures
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration

GUIDANCE = 1.5  # as in Sanchez et al. 2023, arXiv:2306.17806
LEAST_PLAUSIBLE = 0.1  # of the likeliest token's probability, as in Li et al. 2023, arXiv:2210.15097
LEAST_POSSIBLE = 0.001  # of the same: what is less likely is noise, even where what is likely is forbidden
# Tokens of each photo that one more forward must save: about what it costs beside its tokens, with small models on a CPU.
LEAST_SAVED_TOKENS = 16


def split_prompts(prompts: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """What all prompts begin with, and how each goes on; each keeps at least one token of its own.

    Args:
        prompts: token ids of at least one prompt.
    """
    columns = zip(*(prompt[:-1] for prompt in prompts), strict=False)
    shared = [tokens[0] for tokens in itertools.takewhile(lambda tokens: len(set(tokens)) == 1, columns)]
    return shared, [list(prompt[len(shared) :]) for prompt in prompts]


class ContrastivePhotoGuidance(LogitsProcessor):
    """Classifier-free guidance of texts, from what is said of the average photo towards what is said of this one.

    What is likely of any photo says little of this one: log p(token | mean) + [`GUIDANCE`] (log p(token | photo) - log p(token |
    mean)), of the tokens that are plausible after all. The batch holds B photos and B times the average one; both halves get the
    same scores, so that the same is written about both.
    """

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        photo, mean = scores.float().log_softmax(-1).chunk(2)  # [B, V]
        least = photo.amax(-1, keepdim=True) + math.log(LEAST_PLAUSIBLE)
        guided = (mean + GUIDANCE * (photo - mean)).masked_fill(photo < least, -torch.inf)
        return torch.cat([guided, guided])


class NotFirst(LogitsProcessor):
    """Forbids a text to begin with some tokens. It ends where no other token is possible: [`LEAST_POSSIBLE`].

    `SuppressTokensAtBeginLogitsProcessor` of transformers would begin with noise there.

    Args:
        tokens: that may not come first.
        photos: rows that decide; behind them come as many that read what is written about these, or none.
        begin: tokens before the text.
        stop_id: the token that ends a text.
    """

    def __init__(self, tokens: Sequence[int], photos: int, begin: int, stop_id: int):
        self.tokens, self.photos, self.begin, self.stop_id = list(tokens), photos, begin, stop_id

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if input_ids.shape[1] != self.begin:
            return scores
        decisive = scores[: self.photos]  # [B, V]
        possible = decisive >= decisive.amax(-1, keepdim=True) + math.log(LEAST_POSSIBLE)
        possible[:, self.tokens] = False
        possible[:, self.stop_id] |= ~possible.any(-1)
        return scores.masked_fill(~possible.repeat(len(scores) // self.photos, 1), -torch.inf)


class PrefixCache:
    """Photos and the tokens that several prompts begin with, read once; what follows is read on copies of the cache.

    Nothing is padded on the left and no photo has more tokens than another, so no mask is needed: what pads a continuation on
    the right comes after all that is read. The cache is copied and never cut, because layers with a sliding window have
    forgotten what a cut would need.

    Args:
        model: in evaluation mode.
        ids: the prefix's P tokens, the photo's placeholders among them.
        features: of B photos, all groups that the prefix shows.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: AestheticMLLMForConditionalGeneration,
        ids: Sequence[int],
        features: AestheticImageFeatures,
    ):
        self.model = model
        self.ids = list(ids)
        self.features = features
        self.photos = len(features.pooler_output)
        self._cache = model.model(
            input_ids=self._rows([self.ids], self.photos), mm_encoder_outputs={"image": features}, use_cache=True
        )[CACHE]

    def begins(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt begins with the prefix and goes on."""
        return len(prompt) > len(self.ids) and list(prompt[: len(self.ids)]) == self.ids

    @torch.inference_mode()
    def token_logits(self, continuations: Sequence[Sequence[int]], token_ids: Sequence[int]) -> torch.Tensor:
        """Logits of a few tokens after each of Q continuations of the prefix: [B, Q, len(token_ids)], float32.

        Continuations that begin alike are read together up to where they part.
        """
        states = self._last_states(self._cache, continuations)
        return self.model.token_logits(torch.stack(states, dim=1), token_ids)

    def _last_states(self, cache: Cache, continuations: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """The state after each continuation, [B, D]."""
        shared, rests = split_prompts(continuations)
        cache = copy.deepcopy(cache)
        if shared:
            self._read(self._rows([shared], self.photos), cache)
        states: dict[int, torch.Tensor] = {}
        for members in _worth_reading_together(rests):
            states |= zip(members, self._last_states(cache, [rests[place] for place in members]), strict=True)
        alone = [place for place in range(len(rests)) if place not in states]
        if alone:
            states |= zip(alone, self._continue(cache, [rests[place] for place in alone]), strict=True)
        return [states[place] for place in range(len(rests))]

    def _continue(self, cache: Cache, continuations: Sequence[Sequence[int]]) -> tuple[torch.Tensor, ...]:
        """As `_last_states`, each continuation on a copy of the cache, in one forward that uses the cache up."""
        count, width = len(continuations), max(map(len, continuations))
        cache.batch_repeat_interleave(count)
        padded = [list(ids) + [ids[-1]] * (width - len(ids)) for ids in continuations]
        states = self._read(self._rows(padded, self.photos), cache).unflatten(0, (self.photos, count))  # [B, Q, width, D]
        return tuple(states[:, place, len(ids) - 1] for place, ids in enumerate(continuations))

    @torch.inference_mode()
    def write(
        self,
        continuation: Sequence[int],
        stop_ids: Sequence[int],
        max_new_tokens: int,
        not_first: Sequence[int] = (),
        photo: int | None = None,
        mean_photo: "PrefixCache | None" = None,
    ) -> list[list[int]]:
        """What the model writes after the prefix and a continuation, greedily: for each photo tokens up to the stop, without it.

        Args:
            continuation: at least one token.
            stop_ids: the tokens that end a text.
            max_new_tokens: the most that are written where none of them comes.
            not_first: tokens that may not come first; where no other is possible, nothing is written ([`NotFirst`]).
            photo: the only one that is written about; default all.
            mean_photo: the same prefix with the average photo, away from which the text is guided
                ([`ContrastivePhotoGuidance`]).
        """
        photos = list(range(self.photos)) if photo is None else [photo]
        cache = self._cache_of(photos)
        guides = LogitsProcessorList()
        if mean_photo is not None:  # it stands beside each photo, and reads what is written about that one
            beside = mean_photo._cache_of([0] * len(photos))
            for layer, more in zip(cache.layers, beside.layers, strict=True):
                layer.keys, layer.values = torch.cat([layer.keys, more.keys]), torch.cat([layer.values, more.values])
            guides.append(ContrastivePhotoGuidance())
        ids = self._rows([[*self.ids, *continuation]], len(photos) * (2 if guides else 1))
        if not_first:
            guides.insert(0, NotFirst(not_first, len(photos), ids.shape[1], stop_ids[0]))
        written = self.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),  # as long as the tokens: says that the cache holds the first of them
            **{CACHE: cache},
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=list(stop_ids),
            pad_token_id=stop_ids[0],
            logits_processor=guides,
        )
        texts = written[: len(photos), ids.shape[1] :].tolist()
        return [text[: next((place for place, token in enumerate(text) if token in stop_ids), None)] for text in texts]

    def _cache_of(self, photos: Sequence[int]) -> Cache:
        """A copy of the cache for some of the photos."""
        cache = copy.deepcopy(self._cache)
        cache.batch_select_indices(torch.tensor(photos, device=self.model.device))
        return cache

    def _read(self, ids: torch.Tensor, cache: Cache) -> torch.Tensor:
        return self.model.model(input_ids=ids, cache=cache, use_cache=True).last_hidden_state

    def _rows(self, ids: Sequence[Sequence[int]], times: int) -> torch.Tensor:
        return torch.tensor(ids, device=self.model.device).repeat(times, 1)


def _worth_reading_together(
    continuations: Sequence[Sequence[int]], places: Sequence[int] | None = None, depth: int = 0
) -> Iterator[list[int]]:
    """The places of continuations that begin alike, group by group, where a forward of their own saves enough tokens.

    Args:
        places: of those that are looked at, which share their first `depth` tokens; default all.
    """
    places = range(len(continuations)) if places is None else places
    groups: dict[int, list[int]] = {}
    for place in places:
        groups.setdefault(continuations[place][depth], []).append(place)
    for members in groups.values():
        shared = len(split_prompts([continuations[place] for place in members])[0])
        if (len(members) - 1) * shared >= LEAST_SAVED_TOKENS:
            yield members
        elif 1 < len(members) < len(places):
            yield from _worth_reading_together(continuations, members, shared)
