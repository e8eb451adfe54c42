"""Training over TRL's trainers."""
