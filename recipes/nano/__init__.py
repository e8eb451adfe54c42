"""How nano, the embedded checkpoint, is made: `python -m recipes.nano --help`."""
