"""Metadata definitions: which properties and tags images, flavors, volumes and others may be given, and what they mean."""
