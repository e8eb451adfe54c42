"""The assessor of one person, which lives beside the general one because each makes the other."""

from .assessor import PersonalAssessor

__all__ = ["PersonalAssessor"]
