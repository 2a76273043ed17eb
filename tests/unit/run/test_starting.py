"""What keeps a control process from starting, in words."""

from __future__ import annotations

import re

import pytest

from cumulet.kernel.config import Config
from cumulet.kernel.config_images import FileTable
from cumulet.run import StartError
from cumulet.run.control import prepare
from cumulet.run.layout import Layout


@pytest.mark.parametrize(("text", "told"), [
    ("[x]\ncreate = @\n", "[x] does not say who may read: nobody is `read = !`"), (None, "No such file or directory"),
])  # fmt: skip
def test_property_protections_of_no_use(tmp_path, text, told):
    if text:
        (tmp_path / "protections.conf").write_text(text)
    config = Config(data=str(tmp_path), database=f"sqlite:///{tmp_path}/cloud.db", image_property_protections="protections.conf")
    with pytest.raises(StartError, match=re.escape(told)):
        prepare(config, Layout(tmp_path))


def test_the_directory_of_an_image_store_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    stores = [FileTable(id="fast", default=True, directory="fast"), FileTable(id="slow", directory="file/slow")]
    config = Config(data=str(tmp_path), database=f"sqlite:///{tmp_path}/cloud.db", image_stores=stores)
    with pytest.raises(StartError, match=r"The directory of image store slow cannot be made: .*Not a directory"):
        prepare(config, Layout(tmp_path))
