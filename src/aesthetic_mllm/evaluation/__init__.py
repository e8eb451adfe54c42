"""Evaluation: how well lessons and questions are answered, beside simple baselines."""
