"""Judging photos with a trained model."""
