"""Makes nano, the embedded checkpoint, from two public weight packages.

    python -m recipes.nano --data DATA --work build/nano

Stages that are done with the same settings are skipped. The finished checkpoint is WORK/checkpoint.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from transformers.trainer_utils import set_seed

from aesthetic_mllm.data.data_error import DataError

from .pipeline import Run, StageError, check_stages, list_stages, run_stage, run_stages
from .stages import CONFIGURATION, STAGES, read_configuration


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.nano", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with biq2021/, oasis_beauty/, agiqa3k/, photos_unlabeled/, photos_large/, critiques/",
    )
    parser.add_argument("--work", type=Path, default=Path("build/nano"), help="folder for all that is made (default: build/nano)")
    parser.add_argument("--config", type=Path, default=CONFIGURATION, help="settings (default: nano.yaml of the recipe)")
    parser.add_argument("--seed", type=int, help="of all chance (default: that of the settings)")
    parser.add_argument("--from", dest="first", metavar="STAGE", help="run this stage and all after it again")
    parser.add_argument("--to", dest="last", metavar="STAGE", help="stop after this stage")
    parser.add_argument("--only", metavar="STAGE", help="run this stage alone; what it needs must be done")
    parser.add_argument(
        "--list", action="store_true", help="say what the stages do, need and write, with --data also what is done; run nothing"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        seed, settings = read_configuration(options.config)
        seed = seed if options.seed is None else options.seed
        if not 0 <= seed < 2**32:
            raise StageError(f"The seed is {seed}; it has to be a number from 0 to {2**32 - 1}.")
        check_stages(STAGES)
        if options.list:
            run = None if options.data is None else Run(options.data, options.work, seed, settings)
            print(list_stages(STAGES, run))
            return 0
        if options.data is None:
            parser.error("--data: name the folder of photos, ratings and texts")
        run = Run(options.data, options.work, seed, settings)
        if options.only is None:
            run_stages(STAGES, run, options.first, options.last, set_seed)
        elif options.first or options.last:
            parser.error("--only: not together with --from and --to")
        else:
            run_stage(STAGES, options.only, run, set_seed)
    except (StageError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
