"""Several stores at once: choosing one, seeing which have an image, removing one copy."""

from __future__ import annotations

import shutil
import uuid

import msgspec
import pytest

from cumulet.image import locations
from cumulet.image.reconcile import ImageData
from cumulet.image.stores.base import StoreInUse
from cumulet.image.stores.file import FileStore
from cumulet.image.stores.registry import stores
from cumulet.kernel import services
from cumulet.kernel.config import ConfigError, load
from cumulet.kernel.config_images import StoreTable
from cumulet.kernel.testing.cloud import Cloud

OCTETS = {"Content-Type": "application/octet-stream"}
STORES = [
    {"type": "file", "id": "one", "description": "First", "default": True},
    {"type": "file", "id": "two", "directory": "more", "weight": 7},
]


@pytest.fixture
def settings() -> dict:
    return {"image_stores": STORES}


@pytest.fixture
def cloud(database_url: str, tmp_path, settings):
    tables = msgspec.convert(settings["image_stores"], list[StoreTable])
    made = Cloud(database_url, str(tmp_path), services.load("image"), config=settings | {"image_stores": tables})
    yield made
    made.close()


def upload(who, id: str, data: bytes, store: str | None = None):
    return who("PUT", f"/images/{id}/file", content=data, headers=OCTETS | ({"X-Image-Meta-Store": store} if store else {}))


def copy(cloud, id: str, data: bytes, store: str, **values) -> None:
    """Put an image's data into another store too, as imports do."""

    async def chunks():
        yield data

    place = cloud.transact(lambda tx: locations.begin(tx, id, store, **values))
    cloud.portal.call(stores(cloud.runtime)[store].put, place.key, chunks())
    assert cloud.transact(lambda tx: locations.finish(tx, place.id))


def held(cloud, directory: str) -> list[bytes]:
    root = cloud.runtime.config.root / directory
    return [path.read_bytes() for path in root.iterdir() if path.is_file()] if root.is_dir() else []


def test_clients_see_which_stores_there_are(me, admin, reader):
    made = me.post("/images", {"name": "i"})
    assert made.headers["OpenStack-image-store-ids"] == "one,two"
    seen = [{"id": "one", "description": "First", "default": "true"}, {"id": "two"}]
    assert reader.get("/info/stores").json() == {"stores": seen}
    assert me.get("/info/stores/detail").status_code == 403
    one, two = admin.get("/info/stores/detail").json()["stores"]
    assert one["type"] == "file" and one["weight"] == 0 and two["weight"] == 7
    assert one["properties"]["data_dir"].endswith("/images") and two["properties"]["data_dir"].endswith("/more")


def test_an_upload_goes_to_the_store_that_it_names(cloud, me, image):
    answer = upload(me, image, b"data", "three")
    assert answer.status_code == 400 and "Store for identifier three not found" in answer.text
    assert upload(me, image, b"data", "os_glance_staging_store").status_code == 400
    assert "stores" not in me.get(f"/images/{image}").json()
    assert upload(me, image, b"data", "two").status_code == 204
    assert me.get(f"/images/{image}").json()["stores"] == "two"
    assert [one.get("stores") for one in me.get("/images").json()["images"]] == ["two"]
    assert held(cloud, "more") == [b"data"] and held(cloud, "images") == []
    assert me.get(f"/images/{image}/file").content == b"data"


def test_who_may_not_know_where_data_is_is_not_told(cloud, me, other, admin, image):
    upload(me, image, b"data")
    admin.patch(f"/images/{image}", [{"op": "replace", "path": "/visibility", "value": "public"}],
                headers={"Content-Type": "application/openstack-images-v2.1-json-patch"})  # fmt: skip
    assert "stores" not in other.get(f"/images/{image}").json() and me.get(f"/images/{image}").json()["stores"] == "one"
    assert {"locations", "direct_url"} & me.get(f"/images/{image}").json().keys() == set(), "the settings do not say so"


def test_services_are_told_where_data_is(cloud, me, reader, image):
    service = cloud.caller("/image/v2", "service", project="service")
    assert me.get(f"/images/{image}/locations").status_code == 403
    assert service.get(f"/images/{image}/locations").status_code == 404, "they see what anybody of their project does"
    admin = cloud.caller("/image/v2", "admin", project="admin")
    assert admin.get(f"/images/{image}/locations").json() == []
    upload(me, image, b"data", "two")
    [place] = admin.get(f"/images/{image}/locations").json()
    assert place["metadata"] == {"store": "two"} and place["url"].startswith("file:///")


def test_data_is_read_from_where_it_works(cloud, me, image):
    """From the store of the most weight first; where that is broken, from another."""
    upload(me, image, b"data of one")
    copy(cloud, image, b"data of two", "two")
    assert me.get(f"/images/{image}").json()["stores"] == "one,two"
    assert me.get(f"/images/{image}/file").content == b"data of two"
    shutil.rmtree(cloud.runtime.config.root / "more")
    assert me.get(f"/images/{image}/file").content == b"data of one"
    shutil.rmtree(cloud.runtime.config.root / "images")
    answer = me.get(f"/images/{image}/file")
    assert answer.status_code == 503 and "one: there is no image data" in answer.text and "two: " in answer.text


def test_one_copy_can_be_removed_and_not_the_last(cloud, me, admin, image):
    def delete(store: str, id: str = image):
        answer = admin.delete(f"/stores/{store}/{id}")
        return answer.status_code, answer.text

    assert delete("one")[0] == 409, "it is queued"
    upload(me, image, b"data")
    assert me.delete(f"/stores/one/{image}").status_code == 403
    assert delete("three")[0] == 409 and "The selected store three is not available on this node." in delete("three")[1]
    assert delete("one", str(uuid.uuid4()))[0] == 404
    assert delete("one")[0] == 403 and "only store" in delete("one")[1]
    copy(cloud, image, b"data", "two")
    assert delete("one")[0] == 204
    assert me.get(f"/images/{image}").json()["stores"] == "two"
    cloud.portal.call(ImageData(cloud.runtime).run_once)
    assert held(cloud, "images") == [] and held(cloud, "more") == [b"data"]
    copy(cloud, image, b"data", "one")
    copy(cloud, image, b"data", "one")
    assert delete("two")[0] == 204 and delete("two")[0] == 404


def test_a_deleted_images_data_goes_from_every_store(cloud, me, image):
    upload(me, image, b"data")
    copy(cloud, image, b"data", "two")
    assert me.delete(f"/images/{image}").status_code == 204
    cloud.portal.call(ImageData(cloud.runtime).run_once)
    assert held(cloud, "images") == held(cloud, "more") == []
    assert cloud.transact(lambda tx: tx.rows(locations.locations)) == []


def test_data_that_something_stands_on_goes_once_that_is_gone(cloud, me, image):
    upload(me, image, b"data")
    one = stores(cloud.runtime)._stores["one"] = InUse(cloud.runtime.config.root / "images")
    assert me.delete(f"/images/{image}").status_code == 204
    data = ImageData(cloud.runtime)
    for _ in range(2):
        cloud.portal.call(data.run_once)
        assert held(cloud, "images") == [b"data"]
    one.in_use = False
    cloud.portal.call(data.run_once)
    assert held(cloud, "images") == []
    assert cloud.transact(lambda tx: tx.rows(locations.locations)) == []


class InUse(FileStore):
    """A store whose data others stand on, which files' owners do not."""

    in_use = True

    async def delete(self, key: str) -> None:
        if self.in_use:
            raise StoreInUse("clones are there yet")
        await super().delete(key)


@pytest.mark.parametrize("settings", [{"image_stores": STORES, "show_multiple_locations": True, "show_image_direct_url": True}])
def test_locations_are_shown_where_the_settings_say_so(cloud, me, image):
    assert me.get(f"/images/{image}").json()["locations"] == []
    upload(me, image, b"data", "two")
    shown = me.get(f"/images/{image}").json()
    place = cloud.transact(lambda tx: locations.of(tx, image)[0])
    url = f"file://{cloud.runtime.config.root}/more/{place.key}"
    assert shown["locations"] == [{"url": url, "metadata": {"store": "two"}}] and shown["direct_url"] == url


@pytest.mark.parametrize(("stores", "why"), [
    ([{"type": "file", "id": "one"}], "has to be the default"),
    ([STORES[0], STORES[0] | {"directory": "x"}], "two stores have the id one"),
    ([STORES[0], STORES[1] | {"directory": "images/"}], "two stores have the directory images"),
    ([STORES[0] | {"id": "os_glance_staging_store"}], "id"),
    ([STORES[0] | {"type": "tape"}], "type"),
])  # fmt: skip
def test_stores_that_cannot_be_are_refused(stores, why):
    with pytest.raises(ConfigError, match=why):
        load(None, {}, image_stores=stores)
