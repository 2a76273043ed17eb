"""A server from nothing to nothing on simulated hosts."""

from __future__ import annotations


def test_boot_and_delete(world):
    id = world.boot()
    assert world.power(id) == "running"
    assert world.me.delete(f"/servers/{id}").status_code == 204
    world.settle()
    assert world.me.get(f"/servers/{id}").status_code == 404 and world.machines() == []
