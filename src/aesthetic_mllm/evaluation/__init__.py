"""Evaluation: how well pretext samples and questions are answered, beside simple baselines."""
