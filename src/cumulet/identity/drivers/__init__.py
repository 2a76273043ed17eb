"""Where the users and groups of a domain are kept, other than in the database."""
