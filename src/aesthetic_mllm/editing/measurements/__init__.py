"""Measurements of a photo, each with its source."""

from .catalogue import MEASUREMENTS, Measurement, measure
from .mood import palette

__all__ = ["MEASUREMENTS", "Measurement", "measure", "palette"]
