"""A digest that only an image's owner tells of opens nobody else's data to them."""

from __future__ import annotations

from cumulet.image.cache.bring import source
from cumulet.image.images import images
from cumulet.image.locations import locations
from cumulet.kernel.config_images import FileTable, HttpTable
from world import World


def test_what_is_said_of_data_on_the_web_is_not_what_hosts_keep_it_under(database_url: str, tmp_path):
    stores = [FileTable(id="file", default=True), HttpTable(id="web")]
    world = World(database_url, str(tmp_path), config={"image_stores": stores})
    try:
        kept, claiming = world.image(), world.image()

        def claim(tx):
            tx.update(locations, {"image_id": claiming}, store="web", key="http://example.org/else")
            tx.update(images, claiming, os_hash_value=tx.one(images, id=kept).os_hash_value)
            return source(tx, world.runtime, kept), source(tx, world.runtime, claiming)

        theirs, mine = world.runtime.db.transact(claim)
        assert theirs.key == theirs.hash_value == mine.hash_value
        assert mine.key == f"image-{claiming}"
    finally:
        world.close()
