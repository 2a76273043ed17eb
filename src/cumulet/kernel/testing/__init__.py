"""What tests stand on: a cloud in this process, callers of any role, and servers for the other databases and buses."""
