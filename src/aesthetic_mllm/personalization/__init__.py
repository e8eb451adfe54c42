"""From what one person said of photos to a transform of ratings."""
