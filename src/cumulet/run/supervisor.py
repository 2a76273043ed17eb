"""The process that `up` leaves behind: it starts the others, starts again what ends, and ends them all with itself.

Standard library only, so that it costs next to nothing. Usage: python -m cumulet.run.supervisor SPEC.json, where SPEC is
{"children": {name: {"argv", "log", "fds"}}, "state": path}.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

QUICK, PAUSE_MAX = 5.0, 10.0
HEARD = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


class Child:
    """One process, started again whenever it ends; with growing pauses where it ends at once."""

    def __init__(self, name: str, spec: dict):
        self.name, self.spec, self.process, self.pause, self.due = name, spec, None, 0.1, 0.0
        self.started = 0.0

    def start(self) -> None:
        with open(self.spec["log"], "ab") as log:
            self.process = subprocess.Popen(
                self.spec["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=self.spec.get("fds", ()),
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD),  # a mask is inherited
            )  # fmt: skip
        self.started = time.monotonic()

    def look(self) -> None:
        """Notice an end, and start again when it is time."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            self.pause = 0.1 if now - self.started > QUICK else min(PAUSE_MAX, self.pause * 2)
            self.process, self.due = None, now + self.pause
        if self.process is None and now >= self.due:
            self.start()

    def end(self, seconds: float) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main(path: str) -> None:
    with open(path) as file:
        spec = json.load(file)
    children = [Child(name, child) for name, child in spec["children"].items()]
    ending = []
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    for child in children:
        child.start()
    while not ending:
        publish(spec["state"], children)
        waits = [max(0.0, c.due - time.monotonic()) for c in children if c.process is None]
        heard = signal.sigtimedwait(HEARD, min([60.0, *waits]))
        if heard and heard.si_signo != signal.SIGCHLD:
            ending.append(heard)
        for child in children if not ending else ():
            child.look()
    for child in reversed(children):
        child.end(10)
    os.unlink(spec["state"])


def publish(path: str, children: list[Child]) -> None:
    """Say which processes there are, for `status` and `down`."""
    fresh = path + ".new"
    with open(fresh, "w") as file:
        json.dump({"supervisor": os.getpid(), "children": {c.name: c.process and c.process.pid for c in children}}, file)
    os.replace(fresh, path)


if __name__ == "__main__":
    main(sys.argv[1])
