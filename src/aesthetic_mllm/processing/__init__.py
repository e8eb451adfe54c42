"""Images, rating scale, processor; also shipped with every checkpoint, so one flat folder."""
