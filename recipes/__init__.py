"""Recipes: how the embedded checkpoint was made, and configuration files to start from."""
