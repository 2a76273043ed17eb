"""Federation: who else may say who somebody is, and how what they say is mapped to users and groups here."""
