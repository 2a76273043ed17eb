"""Importing images: how data comes from elsewhere, what is checked, and what is done to it before it is an image's."""
