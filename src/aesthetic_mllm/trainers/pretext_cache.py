"""Pretext samples with what the frozen tower saw in their photos, kept on disk: later epochs need neither photos nor tower."""

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
from ..pretext.pretext_dataset import PretextDataset, Sample
from ..pretext.pretext_samples import PretextSample, PretextSampleMaker

logger = logging.getLogger(__name__)

MANIFEST, UNREADABLE = "pretext_samples.json", "unreadable.json"
PRETEXT_SAMPLES_AT_ONCE = 16


class PretextCacheError(ValueError):
    """A folder that holds other pretext samples than those asked for."""


@dataclass(frozen=True)
class CachedSample(Sample):
    """A pretext sample without its photos, but with what a tower saw in them.

    Args:
        feature_maps: [n, h, w, C] of the pretext sample's n photos, the map that its level's tokens are made from.
        image_sizes: [n, 2].
    """

    feature_maps: torch.Tensor | None = None
    image_sizes: torch.Tensor | None = None


class PretextCache(TorchDataset):
    """The pretext samples of some epochs of a [`PretextDataset`], seen by one tower; worded anew in every epoch of training.

    Args:
        folder: of its own; one file a pretext sample, in half precision.
        pretext_samples: the pretext samples; image-text pairs are among them, and keep their words.
        model: [`AestheticMLLMForConditionalGeneration`]; its tower is the one that training would run.
        image_processor: of the checkpoint.
        epochs: how many epochs of them are kept; they are different pretext samples of the same photos.

    Raises:
        PretextCacheError: the folder holds something else.
    """

    def __init__(self, folder: str | Path, pretext_samples: PretextDataset, model: Any, image_processor: Any, epochs: int = 1):
        self.folder, self.pretext_samples, self.epochs = Path(folder), pretext_samples, epochs
        self.tower, self.layers = model.model.vision_tower, model.model.feature_layers
        self.image_processor = image_processor
        self.maker: PretextSampleMaker = pretext_samples.maker
        self.epoch = 0
        manifest = {
            "pretext_samples": len(pretext_samples),
            "epochs": epochs,
            "seed": self.maker.seed,
            "bank": self.maker.bank.version,
            "levels": list(pretext_samples.levels),
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
                    raise PretextCacheError(f"{self.folder} is not empty and holds no {MANIFEST}; name another folder.")
                path.write_text(json.dumps(manifest), encoding="utf-8")
            found = json.loads(path.read_text(encoding="utf-8"))
        if found != manifest:
            changed = sorted(key for key in manifest if found.get(key) != manifest[key])
            raise PretextCacheError(
                f"{self.folder} holds the pretext samples of another run ({', '.join(changed)} differ); "
                "delete it or name another folder."
            )

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader; other wordings of the same pretext samples."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.epochs * len(self.pretext_samples)

    def __getitem__(self, index: int) -> CachedSample:
        with safe_open(self.folder / f"{index}.safetensors", "pt") as file:
            stored = json.loads(file.metadata()["pretext_sample"])
            maps, sizes = file.get_tensor("feature_maps").float(), file.get_tensor("image_sizes")
        pretext_sample = PretextSample(images=(), **stored)
        if pretext_sample.level in self.maker.attributes and self.epoch:  # a pair's words are its own
            rng = random.Random(f"{self.maker.seed}:{self.epoch}:{index}")
            pretext_sample = self.maker.worded_anew(pretext_sample, rng)
        return CachedSample(pretext_sample, feature_maps=maps, image_sizes=sizes)

    def fill(self, num_workers: int = 0) -> set[str]:
        """Has the tower see all pretext samples that are not there yet; the work is shared among processes.

        Args:
            num_workers: make pretext samples beside the tower, in each process.

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
            for level in {sample.pretext_sample.level for sample in samples}:
                # each level's photos only as deep as its tokens read
                part = [place for place, sample in enumerate(samples) if sample.pretext_sample.level == level]
                images = [image for place in part for image in samples[place].pretext_sample.images]
                maps, sizes = see(tower, self.image_processor, images, self.layers[level], state.device)
                at = 0
                for place in part:
                    count = len(samples[place].pretext_sample.images)
                    self._store(indices[place], samples[place].pretext_sample, maps[at : at + count], sizes[at : at + count])
                    at += count
            unreadable.update(key for sample in samples for key in sample.unreadable)
            if done % 25 == 0:
                logger.info(
                    "Pretext samples seen by the tower: %d of %d, %.0f s",
                    done * PRETEXT_SAMPLES_AT_ONCE,
                    len(own),
                    time.monotonic() - start,
                )
        found = set(gather_object(sorted(unreadable)))
        path = self.folder / UNREADABLE  # for later runs, which do not open the photos
        known = set(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else set()
        state.wait_for_everyone()
        if state.is_main_process and found - known:
            path.write_text(json.dumps(sorted(found | known)), encoding="utf-8")
        return found | known

    def _drawn(self, indices: list[int], num_workers: int) -> Iterator[tuple[list[int], list[Sample]]]:
        """The pretext samples themselves, some at a time; an epoch's come together, since workers know one epoch."""
        for epoch in range(self.epochs):
            own = [index for index in indices if index // len(self.pretext_samples) == epoch]
            self.pretext_samples.set_epoch(epoch)
            batches = [own[first : first + PRETEXT_SAMPLES_AT_ONCE] for first in range(0, len(own), PRETEXT_SAMPLES_AT_ONCE)]
            wanted = [[index % len(self.pretext_samples) for index in batch] for batch in batches]
            loader = DataLoader(self.pretext_samples, batch_sampler=wanted, num_workers=num_workers, collate_fn=list)
            yield from zip(batches, loader, strict=True)

    def _store(self, index: int, pretext_sample: PretextSample, maps: torch.Tensor, sizes: torch.Tensor) -> None:
        stored = asdict(replace(pretext_sample, images=()))
        del stored["images"]
        path = self.folder / f"{index}.safetensors"
        whole = path.with_suffix(".part")  # a run that is killed leaves no half pretext sample
        save_file(
            {"feature_maps": maps.half().contiguous(), "image_sizes": sizes.contiguous()},
            whole,
            metadata={"pretext_sample": json.dumps(stored)},
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
