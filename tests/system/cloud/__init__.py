"""Whole clouds, each in a network namespace of the tests' own."""
