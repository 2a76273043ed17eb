"""The settings of a cloud that was started are what it was started with, tables among them."""

from __future__ import annotations

import json
from pathlib import Path

from cumulet.cli.cloud import _spec, in_force
from cumulet.kernel.config import Config, SecurityCompliance
from cumulet.run.layout import Layout


def test_settings_come_back_whole(tmp_path: Path):
    started = Config(
        data=str(tmp_path), listen="127.0.0.1:7", simulated={"compute": {"vcpus": 3}},
        security_compliance=SecurityCompliance(password_regex='^"é', lockout_failure_attempts=3),
    )  # fmt: skip
    layout = Layout(tmp_path)
    layout.spec.parent.mkdir(parents=True, exist_ok=True)
    layout.spec.write_text(json.dumps(_spec(started, layout, 3, 4, None)))
    assert in_force(Config(data=str(tmp_path)), layout) == started
