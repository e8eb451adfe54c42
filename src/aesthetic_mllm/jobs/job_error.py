"""What keeps a job from running."""


class JobError(ValueError):
    """Inputs that cannot be read, an output that belongs to something else, or a library that is missing."""
