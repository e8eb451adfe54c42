"""The whole evaluation of a checkpoint: what `aesthetic-mllm evaluate` runs."""
