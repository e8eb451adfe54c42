"""What words claim of a photo, and whether measurements of the photo bear it out."""
