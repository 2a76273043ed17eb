"""OpenID Connect: this cloud is itself the relying party, for clients that bring a provider's token, and for browsers."""
