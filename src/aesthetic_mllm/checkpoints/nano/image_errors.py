"""What can be wrong with a photo."""


class ImageError(ValueError):
    """A photo that cannot be judged.

    Args:
        source: its path, or what it was given as.
        reason: what is wrong, and the remedy where there is one.
    """

    def __init__(self, source: str, reason: str):
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.source, self.reason)


class ImageNotFoundError(ImageError):
    """There is no such file."""


class UnreadableImageError(ImageError):
    """The file cannot be opened, is not an image, is a broken one, or is of a format that is not read."""


class UnsuitableImageError(ImageError):
    """An image that can be read but not judged: too small, too elongated, too large, or an array whose values are unclear."""
