"""What identity stands on that knows none of its resources: directories of users and groups, SAML. Loaded when it is first needed."""
