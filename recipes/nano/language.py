"""Nano's language model: SmolLM2-135M-Instruct cut to a part of its vocabulary and layers, then healed.

The tokenizer's merges are in order of frequency, so the first ones with their embedding rows are a smaller tokenizer of the
same kind. The cut model is healed on the uncut model's own answers and on photo critiques. That is a loop of its own, for a
quarter of each batch are random tokens said twice, drawn anew, and the trainers of the package train models that see photos.
"""

import json
import logging
import random
import time
from pathlib import Path

import pandas as pd
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from aesthetic_mllm.data.comments import GREETING
from aesthetic_mllm.data.data_error import DataError
from aesthetic_mllm.trainers.precision import has_bfloat16

from .devices import device, half_precision
from .steps import take_step
from .weights import LANGUAGE, fetch

logger = logging.getLogger(__name__)

NUM_MERGES = 8_000  # at least 5,161, or " excellent" falls apart
# The first four, three from the middle, and the last. The middle ones are those that copy: on random tokens said twice, heads of
# 16 look at the token before (0.91 of their attention), and heads of 17 and 18 at what followed the last time (0.83, 0.92). A
# language model that is to repeat what visual tokens say needs them. After 25 steps on texts and such tokens half and half, the
# second time costs 3.4 a token; with the first five and the last three, which have none of them, 9.2.
LAYERS = (0, 1, 2, 3, 16, 17, 18, 29)
COPY_SHARE = 0.25  # of the rows: random tokens said twice, so that the layers find each other again
LEARNING_RATE = 1e-3
PLACEHOLDERS = ("<low>", "<middle>", "<high>", "<image>")  # the last is used; the others keep the ids that nano was made with
SEQUENCE_LENGTH = 128
SPLIT_SEED = 0  # of which texts are held out; the same in every run
OWN_ANSWERS = "own_answers.json"
LANGUAGE_MODEL = "language"
CRITIQUES = "critiques/comments.parquet"  # below DATA, with the columns aspect and comment

QUESTIONS = (
    "What makes a good photograph?",
    "How does light change a photograph?",
    "Describe a photo of {subject} and say what is good about it.",
    "How can I take a better photo of {subject}?",
    "Comment on the composition of a photo of {subject}.",
    "Comment on the colours and the light of a photo of {subject}.",
    "What is wrong with a blurred, dark photo of {subject}?",
    "Write two sentences about a photo of {subject}.",
)
SUBJECTS = (
    "a mountain lake;an old man;a cat;a street at night;a plate of pasta;a wedding;a sunset over the sea;a flower;a bridge;"
    "a child at play;a forest in fog;a city skyline;a dog on a beach;a bird in flight;a market;a waterfall;a train station;"
    "a glass of wine;an empty chair;a snowy field;a dancer;a church;a boat;a horse;a bicycle;a window;a garden;a car"
).split(";")


def uncut(work: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The whole language model. transformers cannot save a model loaded from GGUF, so its weights go into a fresh one."""
    weights = fetch(LANGUAGE, work)
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    loaded = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = LlamaForCausalLM(config)
    model.load_state_dict(loaded.state_dict())
    return model.eval(), tokenizer


def cut_tokenizer(tokenizer: PreTrainedTokenizerFast) -> tuple[PreTrainedTokenizerFast, int]:
    """The tokenizer with its first merges and the placeholders, and how many of the old ids it keeps."""
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    kept = len(spec["model"]["vocab"]) - len(spec["model"]["merges"]) + NUM_MERGES
    spec["model"]["merges"] = spec["model"]["merges"][:NUM_MERGES]
    spec["model"]["vocab"] = {token: index for token, index in spec["model"]["vocab"].items() if index < kept}
    cut = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(spec)),
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        pad_token="<|endoftext|>",
        unk_token=tokenizer.unk_token,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    cut.add_special_tokens({"additional_special_tokens": list(PLACEHOLDERS)})
    return cut, kept


def cut_model(model: LlamaForCausalLM, kept: int, vocab_size: int, pad_token_id: int) -> LlamaForCausalLM:
    """Some of the layers, and the first embedding rows; the placeholders' rows are never read."""
    config = type(model.config)(**model.config.to_dict())
    config.vocab_size, config.num_hidden_layers, config.pad_token_id = vocab_size, len(LAYERS), pad_token_id
    embedding = torch.zeros(vocab_size, config.hidden_size)
    embedding[:kept] = model.get_input_embeddings().weight[:kept]
    small = LlamaForCausalLM(config)
    small.set_input_embeddings(torch.nn.Embedding.from_pretrained(embedding, freeze=False))
    small.tie_weights()
    for layer, source in zip(small.model.layers, LAYERS, strict=True):
        layer.load_state_dict(model.model.layers[source].state_dict())
    small.model.norm.load_state_dict(model.model.norm.state_dict())
    return small


@torch.inference_mode()
def own_answers(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rounds: int, seed: int) -> list[str]:
    """Conversations of the uncut model about photographs, sampled."""
    rng = random.Random(seed)
    tokenizer.padding_side = "left"
    model = (model.bfloat16() if has_bfloat16() else model).to(device())
    texts = []
    for number in range(rounds):
        prompts = [
            f"<|im_start|>user\n{rng.choice(QUESTIONS).format(subject=rng.choice(SUBJECTS))}<|im_end|>\n<|im_start|>assistant\n"
            for _ in range(64)
        ]
        inputs = tokenizer(prompts, return_tensors="pt", padding=True).to(device())
        answers = model.generate(**inputs, max_new_tokens=96, do_sample=True, temperature=0.7, top_p=0.9)
        answers = tokenizer.batch_decode(answers[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        texts += [f"{prompt}{answer}<|im_end|>\n" for prompt, answer in zip(prompts, answers, strict=True)]
        logger.info("own answers: round %d of %d", number + 1, rounds)
    return texts


def critique_texts(path: Path) -> list[str]:
    """Critiques as conversations; those that are hardly language are left out.

    Raises:
        DataError: the table cannot be read, or lacks one of its two columns.
    """
    try:
        frame = pd.read_parquet(path, columns=["aspect", "comment"])
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a Parquet table with the columns aspect and comment ({error}).") from error
    texts = []
    for aspect, comment in zip(frame["aspect"], frame["comment"], strict=True):
        comment = " ".join(str(comment).split())
        letters = sum(character.isalpha() or character == " " for character in comment)
        if 20 <= len(comment) <= 400 and letters / len(comment) > 0.9 and comment.isascii() and not GREETING.search(comment):
            subject = f"the {str(aspect).replace('_', ' ')} of " if aspect else ""
            texts.append(
                f"<|im_start|>user\nComment on {subject}this photo.<|im_end|>\n<|im_start|>assistant\n{comment}<|im_end|>\n"
            )
    return texts


def healing_texts(work: Path, critiques: Path) -> list[str]:
    """What the cut model is healed on: the uncut model's own answers, four times, and critiques."""
    return json.loads((work / OWN_ANSWERS).read_text()) * 4 + critique_texts(critiques)


def split_texts(texts: list[str]) -> tuple[list[str], list[str]]:
    """About one text in fifty, which nothing is trained on, and the others. Some texts are there twice; those are trained on."""
    texts = list(texts)
    random.Random(SPLIT_SEED).shuffle(texts)
    held_out, known = texts[: len(texts) // 50], texts[len(texts) // 50 :]
    repeated = set(known)
    return [text for text in held_out if text not in repeated], known


def heal(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[str], steps: int, seed: int) -> list[float]:
    """Next-token training on packed texts; one text in fifty is held out. Returns held-out losses."""
    held_out, train = split_texts(texts)
    packed = {name: pack(tokenizer, part) for name, part in (("held out", held_out), ("train", train))}
    logger.info("heal: %d training sequences of %d tokens", len(packed["train"]), SEQUENCE_LENGTH)
    model.to(device())
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.95), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 20) * (1 - step / steps))
    generator = torch.Generator().manual_seed(seed)
    batch, losses, start = 16, [], time.monotonic()
    for step in range(steps):
        copied = round(COPY_SHARE * batch)
        rows = packed["train"][torch.randint(len(packed["train"]), (batch - copied,), generator=generator)]
        rows = torch.cat([rows, repeated(copied, len(tokenizer), generator)]).to(device())
        with half_precision():
            loss = model(input_ids=rows, labels=rows).loss
        loss.backward()
        take_step(list(model.parameters()), optimizer, schedule)
        if step % 50 == 0:
            losses.append(_held_out_loss(model, packed["held out"]))
            spent = time.monotonic() - start
            logger.info("heal: step %d of %d, %.0f s, train %.3f, held out %.3f", step, steps, spent, loss.item(), losses[-1])
    losses.append(_held_out_loss(model, packed["held out"]))
    logger.info("heal: held out %.3f", losses[-1])
    return losses


def repeated(rows: int, vocab_size: int, generator: torch.Generator) -> torch.Tensor:
    """Random tokens said twice: [rows, SEQUENCE_LENGTH]."""
    once = torch.randint(vocab_size, (rows, SEQUENCE_LENGTH // 2), generator=generator)
    return torch.cat([once, once], dim=1)


@torch.inference_mode()
def _held_out_loss(model: LlamaForCausalLM, rows: torch.Tensor) -> float:
    with half_precision():
        rows = rows[:64].to(device())
        return model(input_ids=rows, labels=rows).loss.item()


def pack(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    """The texts' tokens one after the other, as [N, SEQUENCE_LENGTH]."""
    ids = [token for row in tokenizer(texts, add_special_tokens=False)["input_ids"] for token in row]
    usable = len(ids) // SEQUENCE_LENGTH * SEQUENCE_LENGTH
    return torch.tensor(ids[:usable]).view(-1, SEQUENCE_LENGTH)


def make_language_model(data: Path, work: Path, steps: int, rounds: int, seed: int) -> None:
    """Cuts and heals, into WORK/language.

    Args:
        steps: of healing.
        rounds: batches of 64 answers sampled from the uncut model.
    """
    model, tokenizer = uncut(work)
    small_tokenizer, kept = cut_tokenizer(tokenizer)
    small = cut_model(model, kept, len(small_tokenizer), small_tokenizer.pad_token_id)
    answers = work / OWN_ANSWERS
    if not answers.exists():  # sampling takes as long as the healing
        unfinished = answers.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(own_answers(model, tokenizer, rounds, seed)))
        unfinished.replace(answers)
    del model
    losses = heal(small, small_tokenizer, healing_texts(work, data / CRITIQUES), steps, seed)
    small.save_pretrained(work / LANGUAGE_MODEL)
    small_tokenizer.save_pretrained(work / LANGUAGE_MODEL)
    (work / LANGUAGE_MODEL / "healing.json").write_text(json.dumps({"held_out_losses": losses}))
