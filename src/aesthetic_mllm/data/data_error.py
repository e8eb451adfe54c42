"""The error of everything that reads data sets."""


class DataError(ValueError):
    """A data set that is not as it must be: files or columns missing, values out of range; says what and where."""
