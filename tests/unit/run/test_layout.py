"""A data directory that several commands make at the same moment."""

from __future__ import annotations

import concurrent.futures as cf
import os
import pwd
import threading
from pathlib import Path

from cumulet.identity.fernet import Repository
from cumulet.kernel.privilege import give
from cumulet.run.layout import Layout


def test_commands_that_begin_together_do_not_stumble(tmp_path: Path):
    me, at_once = pwd.getpwuid(os.getuid()).pw_name, 6
    together = threading.Barrier(at_once)

    def begin(layout: Layout) -> bytes:
        together.wait()
        layout.prepare(me)
        Repository(layout.control / "keys").setup()
        give(layout.control, me)
        return (layout.control / "keys" / "1").read_bytes()

    with cf.ThreadPoolExecutor(at_once) as pool:
        for i in range(40):
            layout = Layout(tmp_path / str(i))
            assert len(set(pool.map(begin, [layout] * at_once))) == 1, "all have the same first key"
            assert layout.version.read_text() == "1\n"
