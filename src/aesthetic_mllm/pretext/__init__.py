"""Self-supervision: from unlabelled photos to lessons."""
