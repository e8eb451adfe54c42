# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "onnxruntime", "pillow"]
# ///
"""Rates photos with ONNX Runtime and Pillow alone; no torch, no transformers.

aesthetic-mllm export --output rating.onnx
python examples/onnx_rate.py rating.onnx photo.jpg another.jpg
"""

import contextlib
import io
import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageCms, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
facts = json.loads(session.get_modelmeta().custom_metadata_map["aesthetic_mllm"])
side, resample, background = facts["canvas_size"], facts["resample"], tuple(facts["background_color"])


# Not checked, where the assessor refuses or repairs: very long or tiny photos, TIFFs of floats, broken files and EXIF data.
def upright_srgb(path: str) -> Image.Image:
    photo = Image.open(path)
    if photo.format == "JPEG":
        photo.draft(None, (2 * side, 2 * side))  # a much larger one is decoded at a fraction of its size
    profile = photo.info.get("icc_profile")
    photo = ImageOps.exif_transpose(photo)
    if photo.mode.startswith("I"):  # grey of 16 bits
        photo = Image.fromarray((np.asarray(photo, np.float64) / 257).round().astype(np.uint8))
    elif photo.has_transparency_data:
        photo = Image.alpha_composite(Image.new("RGBA", photo.size, background), photo.convert("RGBA")).convert("RGB")
    elif photo.mode not in ("RGB", "L", "CMYK"):
        photo = photo.convert("RGB")
    with contextlib.suppress(ImageCms.PyCMSError, OSError):  # a profile that is broken or not of these pixels is ignored
        if profile and "sRGB" not in ImageCms.getProfileDescription(profile := ImageCms.ImageCmsProfile(io.BytesIO(profile))):
            photo = ImageCms.profileToProfile(photo, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return photo.convert("RGB")


def on_canvas(photo: Image.Image) -> tuple[np.ndarray, tuple[int, int]]:
    if facts["resize_mode"] == "clip":  # the middle of the photo fills the canvas
        scaled = int(side * max(photo.size) / min(photo.size))
        photo = photo.resize((side, scaled) if photo.width <= photo.height else (scaled, side), resample)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        photo = photo.crop((left, top, left + side, top + side))
    else:  # the whole photo stands at the canvas's top left, the rest is zero
        scale = side / max(photo.size)
        photo = photo.resize([max(1, round(length * scale)) for length in photo.size], resample, reducing_gap=3.0)
    values = (np.asarray(photo, np.float32) / 255 - np.float32(facts["image_mean"])) / np.float32(facts["image_std"])
    multiple = facts.get("canvas_multiple") or side  # a smaller canvas takes less time
    canvas = np.zeros((3, *(-(-length // multiple) * multiple for length in (photo.height, photo.width))), np.float32)
    canvas[:, : photo.height, : photo.width] = values.transpose(2, 0, 1)
    return canvas, (photo.height, photo.width)


for path in sys.argv[2:]:
    pixels, size = on_canvas(upright_srgb(path))
    (logits,) = session.run(["level_logits"], {"pixel_values": pixels[None], "image_sizes": np.array([size])})
    weights = np.exp(logits[0] - logits[0].max(-1, keepdims=True))  # [questions, levels]
    means = weights @ np.array(facts["level_scores"]) / weights.sum(-1)
    print(path, " ".join(f"{question}={mean:.4f}" for question, mean in zip(facts["questions"], means, strict=True)))
