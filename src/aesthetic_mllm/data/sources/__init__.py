"""Readers of public data sets, one file each, and of a user's own tables."""
