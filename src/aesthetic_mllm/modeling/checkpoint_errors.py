"""What is wrong with a checkpoint."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be what it is loaded as; the message names it, what is wrong and the remedy."""
