# /// script
# requires-python = ">=3.11"
# dependencies = ["aesthetic-mllm[jobs]"]
# ///
"""Rates the photos of a data set on the Hub and pushes the ratings as a data set. Made for Hugging Face Jobs:

    hf jobs uv run --flavor a10g-small --secrets HF_TOKEN examples/rate_hub_dataset.py me/photos me/ratings

It runs anywhere else too: `uv run examples/rate_hub_dataset.py me/photos me/ratings`, with a token that may write.
While the package is on no index, say above where it is: `"aesthetic-mllm[jobs] @ git+https://HOST/OWNER/REPOSITORY"`, the address
of a wheel, or on your own machine `"aesthetic-mllm[jobs] @ file:///FOLDER/OF/THE/CHECKOUT"`. Or do without uv: in the checkout,
`pip install '.[jobs]'`, then `python examples/rate_hub_dataset.py me/photos me/ratings`.
What is done is pushed every few minutes. A job that was cut off is started again with the same command: it fetches the shards
that were pushed, and goes on there.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path

from huggingface_hub import HfApi

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.jobs.progress import Progress
from aesthetic_mllm.jobs.rating_job import RatingJob, Reading
from aesthetic_mllm.jobs.sources import HUB, find_sources
from aesthetic_mllm.jobs.table import Request

FOLDER, KEPT = "data", ("part-*.parquet", "_manifest.json")
CARD = """---
configs:
- config_name: default
  data_files: "{folder}/part-*.parquet"
tags: [aesthetic-mllm, image-aesthetic-assessment]
---
# Ratings of the photos in {photos}

Predicted by aesthetic-mllm, a row a photo: `path` is the data set's name with the row's number behind `#`. The checkpoint's
digest and the package's version stand in each row.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="data set with the photos")
    parser.add_argument("ratings", help="data set for the ratings; made if it does not exist")
    parser.add_argument("--split", help="of the photos (default: the only one)")
    parser.add_argument("--column", help="with the photos (default: the only one with images)")
    parser.add_argument("--model", help="folder or Hub id of a checkpoint (default: the embedded one)")
    parser.add_argument("--question", help="(default: the checkpoint's own)")
    parser.add_argument("--attributes", action="store_true", help="rate the attributes too")
    parser.add_argument("--assess", action="store_true", help="attributes, comments and suggestions too")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--readers", type=int, default=0, help="processes that decode photos (default: threads)")
    parser.add_argument("--public", action="store_true", help="make the data set for everybody")
    parser.add_argument("--push-minutes", type=float, default=10.0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")

    api = HfApi()
    api.create_repo(options.ratings, repo_type="dataset", private=not options.public, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch)
        api.snapshot_download(
            options.ratings, repo_type="dataset", local_dir=local, allow_patterns=[f"{FOLDER}/{name}" for name in KEPT]
        )
        assessor = AestheticAssessor.from_pretrained(options.model)
        scores = Request.scores(assessor, options.question, attributes=options.attributes)
        request = Request.assessments(assessor) if options.assess else scores
        job = RatingJob(assessor, request, local / FOLDER, reading=Reading(options.readers, options.batch_size))
        pushed = time.monotonic()

        def push(message: str) -> None:
            api.upload_folder(
                repo_id=options.ratings,
                repo_type="dataset",
                folder_path=local / FOLDER,
                path_in_repo=FOLDER,
                allow_patterns=list(KEPT),
                commit_message=message,
            )

        def progress(reached: Progress) -> None:
            nonlocal pushed
            if time.monotonic() - pushed > 60 * options.push_minutes:
                push("More ratings")
                pushed = time.monotonic()

        summary = job.run(find_sources([HUB + options.photos], column=options.column, split=options.split), progress=progress)
        (local / "README.md").write_text(CARD.format(folder=FOLDER, photos=options.photos), encoding="utf-8")
        api.upload_file(
            path_or_fileobj=local / "README.md", path_in_repo="README.md", repo_id=options.ratings, repo_type="dataset"
        )
        push(f"Ratings of {options.photos}")
    logging.info("%d photos rated, %d before, %d failed", summary.rated, summary.before, summary.failed)
    if summary.problems:
        raise SystemExit("Not all rows could be read; start the same command again.")


if __name__ == "__main__":
    main()
