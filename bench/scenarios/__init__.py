"""What is measured: one module a scenario, each with `run(guest)`, which is given the guest image's path."""
