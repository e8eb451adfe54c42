"""Checkpoints behind servers of others: what vLLM and `transformers serve` need to know, and an engine that asks them."""
