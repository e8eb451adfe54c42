"""Target texts reworded by a language model, as the paper did with GPT-3.5: optional, checked, and asked for only once.

The prompt and the rules that a rewording must pass are our choice.
"""

import hashlib
import http.client
import json
import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .phrase_bank import PhraseBank, TargetText

logger = logging.getLogger(__name__)

PROMPT_VERSION = "1"
PROMPT = (
    "Reword a remark about a photo. Write one plain sentence of at most {words} words that says exactly the same, no more and "
    "no less. Keep the words that say how much and in which direction. Answer with the sentence alone.\n"
    "It answers the question: {question}\n"
    "Remark: {text}"
)
MOST_WORDS = 30
ATTEMPTS = 3
PAUSE = 2.0  # seconds before the second attempt, twice as many before the third


class TargetTextRewritingError(RuntimeError):
    """No rewording can be had: an endpoint that does not answer as it should, a key that is not set, a cache that is none."""


class TargetTextRewriter:
    """Rewords target texts, and keeps the original wherever the rewording might say something else.

    A rewording is accepted if it is one sentence of at most `most_words` words and, for each thing the target text says (bin of
    an attribute; change, strength and verdict of an edit; content), holds a wording that the phrase bank has for it and none that
    the bank has for its opposite. Wordings held out of training count as opposites in a target text for training, and the
    reverse.

    Answers are kept in the cache as they came and judged whenever they are read, so that the rules can change.

    Args:
        generate: prompt to text; `None` takes rewordings from the cache alone, as data loading workers do.
        cache_path: a file of JSON lines, appended to; made where there is none.
        bank: whose target texts are reworded; its version is part of the cache's keys.
        most_words: in a rewording.
        prompt, prompt_version: with `{question}`, `{text}` and `{words}`; a new prompt or model needs a new version.

    Raises:
        TargetTextRewritingError: the cache cannot be read.
    """

    def __init__(
        self,
        generate: Callable[[str], str] | None,
        cache_path: str | Path,
        bank: PhraseBank | None = None,
        most_words: int = MOST_WORDS,
        prompt: str = PROMPT,
        prompt_version: str = PROMPT_VERSION,
    ):
        self.generate, self.cache_path = generate, Path(cache_path)
        self.bank, self.most_words = bank or PhraseBank(), most_words
        self.prompt, self.prompt_version = prompt, prompt_version
        self.counts: Counter[str] = Counter()  # "accepted", or why the original was kept
        self._answers = self._read_cache()

    def __call__(self, target_text: TargetText) -> TargetText:
        """The target text with another text, or the target text itself; question and label stay.

        Raises:
            TargetTextRewritingError: as `generate` does.
        """
        key = self.key(target_text)
        if key not in self._answers:
            if self.generate is None:
                self.counts["not in the cache"] += 1
                return target_text
            answer = self.generate(
                self.prompt.format(question=target_text.question, text=target_text.text, words=self.most_words)
            )
            self._append(key, target_text, answer)
        text = _tidy(self._answers[key])
        fault = self.fault(target_text, text)
        self.counts[fault or "accepted"] += 1
        if fault:
            logger.info("%r is kept, because %r %s.", target_text.text, text, fault)
            return target_text
        return replace(target_text, text=text)

    def key(self, target_text: TargetText) -> str:
        """Under which the cache holds a target text's rewording."""
        parts = json.dumps([self.bank.version, target_text.label, target_text.text, self.prompt_version])
        return hashlib.sha256(parts.encode()).hexdigest()

    def fault(self, target_text: TargetText, text: str) -> str | None:
        """Why a rewording is not accepted, as the end of a sentence about it, or `None`."""
        if not re.search(r"\w", text):
            return "is empty"
        if not re.fullmatch(r"[^.!?\n]*[.!]", re.sub(r"(?<=\d)\.(?=\d)", "", text)):
            return "is not one statement"
        if len(text.split()) > self.most_words:
            return "is too long"
        original, rewording = target_text.text.lower(), text.lower()
        for said in self._said(target_text):
            own, other = said.sides(original)
            found = set(_found(rewording, own | other))
            if not found & own:
                return f"lost its {said.what}"
            if found & other:
                return f"says another {said.what}"
            # Out of the way once found: "weaker in colour" must not be read as the verdict "weaker".
            original, rewording = _without(original, own), _without(rewording, own)
        return None

    def _said(self, target_text: TargetText) -> Iterator["_Said"]:
        """What a target text says, by its label."""
        name, *parts = target_text.label.split(":")
        if name == "content":
            yield _Said(
                "content", ((_without_article(target_text.label.removeprefix("content:").lower()),),), 0, has_held_out=False
            )
        elif name in self.bank.attributes and len(parts) == 1:
            attribute = self.bank.attributes[name]
            if self._is_shared(attribute["bins"][int(parts[0])]):
                yield _Said("attribute", (attribute["names"],), 0, strict=False)
            yield _Said("amount", attribute["bins"], int(parts[0]))
        elif name in self.bank.edits and len(parts) == 2:
            direction, strength = parts
            edit = self.bank.edits[name]
            yield _Said("change", list(edit.values()), list(edit).index(direction))
            yield _Said("strength", list(self.bank.strengths.values()), list(self.bank.strengths).index(strength))
            yield _Said("verdict", list(self.bank.verdicts.values()), None)
        else:
            raise TargetTextRewritingError(
                f"The phrase bank {self.bank.path} knows no label {target_text.label!r}; was it made by another bank?"
            )

    def _is_shared(self, wordings: Sequence[str]) -> bool:
        """Whether a bin's wordings are used of other attributes too, so that they do not say what they are about."""
        bins = [bin for attribute in self.bank.attributes.values() for bin in attribute["bins"]]
        return sum(bool(set(wordings) & set(bin)) for bin in bins) > 1

    def _read_cache(self) -> dict[str, str]:
        if not self.cache_path.exists():
            return {}
        answers = {}
        try:
            lines = self.cache_path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise TargetTextRewritingError(
                f"{self.cache_path}: the cache cannot be read ({error}); name another file."
            ) from error
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                answers[row["key"]] = str(row["answer"])
            except (json.JSONDecodeError, KeyError, TypeError):
                # What a run that was killed leaves behind.
                logger.warning("%s: line %d is no row of this cache and is skipped.", self.cache_path, number)
        return answers

    def _append(self, key: str, target_text: TargetText, answer: str) -> None:
        row = {"key": key, "label": target_text.label, "text": target_text.text, "answer": answer}
        line = json.dumps(row, ensure_ascii=False) + "\n"
        self.cache_path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.cache_path, "ab+") as file:
            # A line that was cut off must not swallow this one.
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = "\n" + line
            file.write(line.encode())
        self._answers[key] = answer


def generate_with_pipeline(pipeline: Callable[..., Any], max_new_tokens: int = 60, **options: Any) -> Callable[[str], str]:
    """Generation by a transformers `text-generation` pipeline.

    Args:
        pipeline: a tokenizer with a chat template is asked in turns, any other as plain text.
        options: more arguments of the pipeline's call, such as `do_sample`.
    """
    tokenizer = getattr(pipeline, "tokenizer", None)
    in_turns = getattr(tokenizer, "chat_template", None) is not None

    def generate(prompt: str) -> str:
        asked: Any = [{"role": "user", "content": prompt}] if in_turns else f"{prompt}\nReworded:"
        answer = pipeline(asked, max_new_tokens=max_new_tokens, return_full_text=False, **options)
        try:
            text = answer[0]["generated_text"]
            text = text[-1]["content"] if isinstance(text, list) else text
            return text if in_turns else text.strip().split("\n")[0]
        except (LookupError, TypeError, AttributeError) as error:
            raise TargetTextRewritingError(f"The pipeline answered {answer!r:.200}, not a list with 'generated_text'.") from error

    return generate


def generate_with_endpoint(
    url: str,
    model: str,
    api_key_variable: str | None = "OPENAI_API_KEY",
    timeout: float = 60.0,
    temperature: float = 0.7,
    max_tokens: int = 100,
) -> Callable[[str], str]:
    """Generation by an OpenAI-compatible server.

    Busy servers (429 and 5xx) and lost connections are asked again, up to three times in all.

    Args:
        url: up to the version, such as "https://api.openai.com/v1".
        api_key_variable: the environment variable that holds the key; `None` for a server that wants none.
        timeout: seconds for one answer.

    Raises:
        TargetTextRewritingError: no http(s) URL, or the variable is not set; later, if the server refuses or answers anything
            else than a chat completion.
    """
    if not url.startswith(("http://", "https://")):
        raise TargetTextRewritingError(f"{url!r} is no http or https address; give one such as 'https://api.openai.com/v1'.")
    headers = {"Content-Type": "application/json"}
    if api_key_variable is not None:
        if not os.environ.get(api_key_variable):
            raise TargetTextRewritingError(
                f"The environment variable {api_key_variable} with the key for {url} is not set; set it, or pass "
                "api_key_variable=None for a server that wants no key."
            )
        headers["Authorization"] = f"Bearer {os.environ[api_key_variable]}"
    address = f"{url.rstrip('/')}/chat/completions"

    def generate(prompt: str) -> str:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        answer = _post(urllib.request.Request(address, json.dumps(body).encode(), headers, method="POST"), timeout)
        try:
            text = json.loads(answer)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise TargetTextRewritingError(f"{address} answered no chat completion but {answer!r:.200}.") from error
        if not isinstance(text, str):
            raise TargetTextRewritingError(f"{address} answered without text: {answer!r:.200}.")
        return text

    return generate


def _post(request: urllib.request.Request, timeout: float) -> bytes:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code} {error.reason}: {error.read(200).decode(errors='replace')}"
            passes = error.code == 429 or error.code >= 500
        except (OSError, http.client.HTTPException) as error:  # no connection, a broken one, or the time ran out
            reason, passes = str(error), True
        if not passes or attempt == ATTEMPTS:
            break
        logger.warning("%s: %s; asked again.", request.full_url, reason)
        time.sleep(PAUSE * attempt)
    raise TargetTextRewritingError(f"{request.full_url} gave no answer after {attempt} attempt(s) ({reason}).")


@dataclass(frozen=True)
class _Said:
    """One thing that a target text says.

    Args:
        what: its name in messages.
        wordings: of all that could be said in its place, the last wording of each held out of training.
        chosen: which of them the target text says; `None`: the one that is found in its text.
        has_held_out: `False` where there is one wording only.
        strict: whether other wordings are contradictions; an attribute's names are not.
    """

    what: str
    wordings: Sequence[Sequence[str]]
    chosen: int | None
    has_held_out: bool = True
    strict: bool = True

    def sides(self, original: str) -> tuple[set[str], set[str]]:
        """The wordings that say the same as the original (in lower case), and those that do not."""
        numbers = range(len(self.wordings)) if self.chosen is None else [self.chosen]
        number_of = {word.lower(): number for number in numbers for word in self.wordings[number]}
        word = next(iter(_found(original, set(number_of))), next(iter(number_of)))
        own = [word.lower() for word in self.wordings[number_of[word]]]
        if self.has_held_out:
            own = own[-1:] if word == own[-1] else own[:-1]
        others = {word.lower() for words in self.wordings for word in words} - set(own)
        return set(own), others if self.strict else set()


def _found(text: str, wordings: Collection[str]) -> list[str]:
    """Those of some wordings that stand in a text, as whole words; all in lower case."""
    return re.findall(_pattern(wordings), text)


def _without(text: str, wordings: Collection[str]) -> str:
    return re.sub(_pattern(wordings), "|", text)


def _pattern(wordings: Collection[str]) -> str:
    # The longest first: "just noticeably" is not "noticeably", and "neither better nor worse" is neither of the two.
    return r"(?<!\w)(?:" + "|".join(map(re.escape, sorted(wordings, key=len, reverse=True))) + r")(?!\w)"


def _without_article(label: str) -> str:
    return re.sub(r"^(?:an?|the) ", "", label)


def _tidy(answer: str) -> str:
    """An answer without the quotation marks, line breaks and missing full stop that models add or leave out."""
    text = " ".join(answer.split()).strip("\"'“”‘’` ")
    text = text if not text or text[-1] in ".!?" else f"{text}."
    return text[:1].upper() + text[1:]
