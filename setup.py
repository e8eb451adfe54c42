"""Package metadata; tool settings live in pyproject.toml, tested versions in constraints.txt."""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
VERSION = runpy.run_path(str(ROOT / "src" / "aesthetic_mllm" / "_version.py"))["__version__"]

# Readers of HEIC and of camera raw files.
FORMATS = ["pillow-heif>=1.0", "rawpy>=0.24"]
XMP = ["exiv2>=0.19"]

ONNX = ["onnx>=1.18", "onnxruntime>=1.22", "onnxscript>=0.5"]
EVALUATE = ["evaluate>=0.4.5", "sacrebleu>=2.4"]
# Tables of ratings. pyarrow is larger than all that rating a few photos needs beside PyTorch and transformers, so it is an extra.
JOBS = ["datasets>=4.7", "pyarrow>=21.0"]

# The client that asks vLLM's and other servers of this interface.
SERVER = ["openai>=2.0"]

EXTRAS = {
    "formats": FORMATS,
    # Jobs of very many photos; the second on a cluster.
    "jobs": JOBS,
    "ray": [*JOBS, "ray[data]>=2.50"],
    "server": SERVER,
    # Needs a GPU; docs/serve.md says how vLLM runs on a CPU.
    "vllm": [*SERVER, "vllm>=0.32"],
    # Training and the recipes: TRL trainers, LoRA, tables, GGUF, which nano's recipe starts from, and what else pretext samples
    # measure.
    "train": [
        "accelerate>=1.10",
        "datasets>=4.7",
        "gguf>=0.17",
        "pandas>=2.2",
        "peft>=0.18",
        "scikit-image>=0.25",
        "trl>=1.16,<2",
    ],
    # The command `export`: ratings as an ONNX file.
    "onnx": ONNX,
    # The metrics in metrics/ as modules of the package `evaluate`, and BLEU.
    "evaluate": EVALUATE,
    # Writes XMP sidecars. It is under the GPL-3.0-or-later, so it is for those who install it, and nothing else imports it.
    "xmp": XMP,
    # Tests and checks; the tests train too, so they need `train` as well.
    "dev": [
        *FORMATS,
        *ONNX,
        *EVALUATE,
        *JOBS,
        *SERVER,
        *XMP,
        "hypothesis>=6.100",
        "jsonschema>=4.20",
        "mypy>=2.0",
        "pytest>=9.0",
        "pytest-xdist>=3.8",
        "ruff>=0.17",
    ],
}

setup(
    name="aesthetic-mllm",
    version=VERSION,
    description="Aesthetic assessment of photos with a multimodal language model, a trained checkpoint included",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The aesthetic-mllm authors",
    # Code, and the weights inside checkpoints/nano.
    license_expression="Apache-2.0 AND CC-BY-NC-4.0",
    license_files=["LICENSE", "LICENSE-WEIGHTS"],
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={
        "aesthetic_mllm": ["py.typed"],
        "aesthetic_mllm.checkpoints": ["nano/*", "nano/side_files/*"],
        "aesthetic_mllm.jobs": ["templates/*"],
        "aesthetic_mllm.pretext": ["*.yaml"],
        "aesthetic_mllm.publishing": ["templates/*.j2"],
    },
    python_requires=">=3.11",
    install_requires=[
        "filelock>=3.15",
        "jinja2>=3.1",
        "numpy>=1.26",
        "pillow>=11.0",
        "pyyaml>=6.0",
        "safetensors>=0.8",
        "scipy>=1.14",
        "torch>=2.9",
        "tqdm>=4.60",
        "transformers>=5.18,<5.40",  # 5.40 drops names that other packages still use, past_key_values among them
        "wrapt>=2.0",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["aesthetic-mllm=aesthetic_mllm.cli.main:main"],
        "vllm.general_plugins": ["aesthetic_mllm=aesthetic_mllm.serving.vllm_plugin:register"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
)
