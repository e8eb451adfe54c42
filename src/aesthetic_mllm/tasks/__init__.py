"""One file a task: how it is asked and how it is answered; for training, inference and evaluation alike."""
