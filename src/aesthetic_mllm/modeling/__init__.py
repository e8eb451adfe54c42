"""Configuration, vision tower, alignment module, model; also shipped with every checkpoint, so one flat folder."""
