"""Tokens: from a password, a token or an application credential to a token, and from a token to a caller."""
