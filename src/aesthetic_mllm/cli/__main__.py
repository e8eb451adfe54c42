"""`python -m aesthetic_mllm.cli`."""

import sys

from .main import main

sys.exit(main())
