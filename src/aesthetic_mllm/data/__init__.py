"""Rated and commented photos: one record schema, a reader for each public data set, and what training makes of them."""
