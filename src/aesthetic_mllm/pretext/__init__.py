"""Self-supervision: from unlabelled photos to pretext samples."""
