"""Lessons with what the frozen tower saw in their photos, kept on disk: later epochs need neither photos nor tower."""

import hashlib
import json
import logging
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from ..modeling.vision_tower import tower_feature_maps
from ..pretext.lesson_dataset import LessonDataset, Sample
from ..pretext.lessons import Lesson, LessonMaker

logger = logging.getLogger(__name__)

MANIFEST, UNREADABLE = "lessons.json", "unreadable.json"
LESSONS_AT_ONCE = 16


class LessonCacheError(ValueError):
    """A folder that holds other lessons than those asked for."""


@dataclass(frozen=True)
class SeenSample(Sample):
    """A lesson without its photos, but with what a tower saw in them.

    Args:
        feature_maps: [n, h, w, C] of the lesson's n photos, the map that its level's tokens are made from.
        image_sizes: [n, 2].
    """

    feature_maps: torch.Tensor | None = None
    image_sizes: torch.Tensor | None = None


class LessonCache(TorchDataset):
    """The lessons of some epochs of a [`LessonDataset`], seen by one tower; worded anew in every epoch of training.

    Args:
        folder: of its own; one file a lesson, in half precision.
        lessons: the lessons; image-text pairs are among them, and keep their words.
        model: [`AestheticMLLMForConditionalGeneration`]; its tower is the one that training would run.
        image_processor: of the checkpoint.
        epochs: how many epochs of them are kept; they are different lessons of the same photos.

    Raises:
        LessonCacheError: the folder holds something else.
    """

    def __init__(self, folder: str | Path, lessons: LessonDataset, model: Any, image_processor: Any, epochs: int = 1):
        self.folder, self.lessons, self.epochs = Path(folder), lessons, epochs
        self.tower, self.layers = model.model.vision_tower, model.model.feature_layers
        self.image_processor = image_processor
        self.maker: LessonMaker = lessons.maker
        self.epoch = 0
        manifest = {
            "lessons": len(lessons),
            "epochs": epochs,
            "seed": self.maker.seed,
            "bank": self.maker.bank.version,
            "levels": list(lessons.levels),
            "contents": len(self.maker.contents),
            "canvas": image_processor.canvas_size,
            "layers": self.layers,
            "tower": _fingerprint(self.tower),
        }
        path = self.folder / MANIFEST
        with PartialState().main_process_first():
            if not path.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                if any(self.folder.iterdir()):
                    raise LessonCacheError(f"{self.folder} is not empty and holds no {MANIFEST}; name another folder.")
                path.write_text(json.dumps(manifest), encoding="utf-8")
            found = json.loads(path.read_text(encoding="utf-8"))
        if found != manifest:
            changed = sorted(key for key in manifest if found.get(key) != manifest[key])
            raise LessonCacheError(
                f"{self.folder} holds the lessons of another run ({', '.join(changed)} differ); delete it or name another folder."
            )

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader; other wordings of the same lessons."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.epochs * len(self.lessons)

    def __getitem__(self, index: int) -> SeenSample:
        with safe_open(self.folder / f"{index}.safetensors", "pt") as file:
            stored = json.loads(file.metadata()["lesson"])
            maps, sizes = file.get_tensor("feature_maps").float(), file.get_tensor("image_sizes")
        lesson = Lesson(images=(), **stored)
        if lesson.level in self.maker.attributes and self.epoch:  # a pair's words are its own
            rng = random.Random(f"{self.maker.seed}:{self.epoch}:{index}")
            lesson = self.maker.worded_anew(lesson, rng)
        return SeenSample(lesson, feature_maps=maps, image_sizes=sizes)

    def fill(self, num_workers: int = 0) -> set[str]:
        """Has the tower see all lessons that are not there yet; the work is shared among processes.

        Args:
            num_workers: make lessons beside the tower, in each process.

        Returns:
            Keys of photos that could not be read, now or when the cache was filled before.
        """
        state = PartialState()
        missing = [index for index in range(len(self)) if not (self.folder / f"{index}.safetensors").exists()]
        own = missing[state.process_index :: state.num_processes]
        unreadable: set[str] = set()
        start = time.monotonic()
        tower = self.tower.to(state.device).eval()
        for done, (indices, samples) in enumerate(self._drawn(own, num_workers)):
            for level in {sample.lesson.level for sample in samples}:
                # each level's photos only as deep as its tokens read
                part = [place for place, sample in enumerate(samples) if sample.lesson.level == level]
                images = [image for place in part for image in samples[place].lesson.images]
                maps, sizes = see(tower, self.image_processor, images, self.layers[level], state.device)
                at = 0
                for place in part:
                    count = len(samples[place].lesson.images)
                    self._store(indices[place], samples[place].lesson, maps[at : at + count], sizes[at : at + count])
                    at += count
            unreadable.update(key for sample in samples for key in sample.unreadable)
            if done % 25 == 0:
                logger.info(
                    "Lessons seen by the tower: %d of %d, %.0f s", done * LESSONS_AT_ONCE, len(own), time.monotonic() - start
                )
        found = set(gather_object(sorted(unreadable)))
        path = self.folder / UNREADABLE  # for later runs, which do not open the photos
        known = set(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else set()
        state.wait_for_everyone()
        if state.is_main_process and found - known:
            path.write_text(json.dumps(sorted(found | known)), encoding="utf-8")
        return found | known

    def _drawn(self, indices: list[int], num_workers: int) -> Iterator[tuple[list[int], list[Sample]]]:
        """The lessons themselves, some at a time; an epoch's come together, since workers know one epoch."""
        for epoch in range(self.epochs):
            own = [index for index in indices if index // len(self.lessons) == epoch]
            self.lessons.set_epoch(epoch)
            batches = [own[first : first + LESSONS_AT_ONCE] for first in range(0, len(own), LESSONS_AT_ONCE)]
            wanted = [[index % len(self.lessons) for index in batch] for batch in batches]
            loader = DataLoader(self.lessons, batch_sampler=wanted, num_workers=num_workers, collate_fn=list)
            yield from zip(batches, loader, strict=True)

    def _store(self, index: int, lesson: Lesson, maps: torch.Tensor, sizes: torch.Tensor) -> None:
        stored = asdict(replace(lesson, images=()))
        del stored["images"]
        path = self.folder / f"{index}.safetensors"
        whole = path.with_suffix(".part")  # a run that is killed leaves no half lesson
        save_file(
            {"feature_maps": maps.half().contiguous(), "image_sizes": sizes.contiguous()},
            whole,
            metadata={"lesson": json.dumps(stored)},
        )
        whole.rename(path)


@torch.inference_mode()
def see(
    tower: torch.nn.Module, image_processor: Any, images: list[Any], layer: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """One layer's map [N, h, w, C] of N photos, and their sizes [N, 2], on the CPU."""
    inputs = image_processor(images, return_tensors="pt").to(device)
    dtype = next(tower.parameters()).dtype
    (maps,) = tower_feature_maps(tower, inputs["pixel_values"].to(dtype), inputs["image_sizes"], [layer])
    return maps.cpu(), inputs["image_sizes"].cpu()


def _fingerprint(tower: torch.nn.Module) -> str:
    """Of the tower's weights."""
    digest = hashlib.sha256()
    for name, weight in sorted(tower.state_dict().items()):
        digest.update(f"{name}:{tuple(weight.shape)}:{weight.double().sum().item():.6e}".encode())
    return digest.hexdigest()[:16]
