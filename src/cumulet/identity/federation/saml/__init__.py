"""SAML 2.0: this cloud is itself the service provider, for browsers and other clients, and an identity provider for other clouds."""
