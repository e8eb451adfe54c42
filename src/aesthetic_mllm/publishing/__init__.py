"""Publishing: the evaluation report, the model card that is written from it, the check of a checkpoint's folder, the Hub."""
