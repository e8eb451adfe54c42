"""The same work on other people's engines."""
