"""How well `cull` finds series and picks in bursts, on series made from a folder of photos.

    python benchmarks/culling.py FOLDER [--shoots 30] [--exif none|time|exposure] [--faint] [--all-but-one]
    python benchmarks/culling.py FOLDER --write SHOOT

Each shoot is six photos: a burst with a damaged frame, a bracket, a panorama, a focus stack and two lone photos, as JPEG files of
at most 1,024 pixels; `evaluation/eval_culling.py` says how they are made. With --write one shoot is left in a folder, to be
looked at.
"""

import argparse
import json
import random
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.evaluation.eval_culling import FAINT, STRONG, Shot, evaluate_culling, make_shoot, write_shoot
from aesthetic_mllm.inference.culling import RatedFrame
from aesthetic_mllm.inference.photo_files import find_photos
from aesthetic_mllm.processing.image_loading import load_image

SIDE = 1024
PHOTOS = 6


def shoot(photos: list[Path], seed: int, options: argparse.Namespace) -> list[Shot]:
    """A shoot from photos that the seed chooses."""
    images = [load_image(photo) for photo in random.Random(seed).sample(photos, PHOTOS)]
    for image in images:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return make_shoot(images, seed, strength=FAINT if options.faint else STRONG, all_but_one=options.all_but_one)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--shoots", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the first shoot")
    parser.add_argument("--exif", choices=("none", "time", "exposure"), default="exposure")
    parser.add_argument("--faint", action="store_true", help="damage less")
    parser.add_argument("--all-but-one", action="store_true", help="damage all frames of a burst but one")
    parser.add_argument("--model")
    parser.add_argument("--output", type=Path, help="write the counts there, as JSON")
    parser.add_argument("--write", type=Path, metavar="SHOOT", help="only write one shoot there")
    options = parser.parse_args()
    photos = [photo for photo in find_photos([options.photos]).photos if isinstance(photo, Path)]
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        write_shoot(shoot(photos, options.seed, options), options.write, options.exif)
        return
    assessor = AestheticAssessor.from_pretrained(options.model)
    shoots: list[tuple[list[Shot], list[RatedFrame]]] = []
    for seed in range(options.seed, options.seed + options.shoots):
        shots = shoot(photos, seed, options)
        with tempfile.TemporaryDirectory() as folder:
            paths = write_shoot(shots, Path(folder), options.exif)
            frames = [frame for frame in assessor.rated_frames(paths) if isinstance(frame, RatedFrame)]
        shoots.append(([replace(shot, image=Image.new("RGB", (1, 1))) for shot in shots], frames))
    results = evaluate_culling(shoots)
    for name, value in vars(results).items():
        if isinstance(value, dict):
            print(f"{name}:")
            for kind, each in value.items():
                print(f"  {kind:12} {each if name == 'found' else '; '.join(each)}")
        else:
            print(f"{name}: {value if name != 'chance' else f'{value:.0%}'}")
    if options.output:
        options.output.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
