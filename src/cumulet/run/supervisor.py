"""The process that `up` leaves behind: it starts the others, starts again what ends, and ends them all with itself.

Next to nothing but the standard library, so that it costs as little. Usage: python -m cumulet.run.supervisor SPEC.json, where SPEC is
{"children": {name: {"argv", "log", "environment", "fds"}}, "state": path, "parent": process to end with, or null}.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

from ..kernel.parent import end_with_parent

QUICK, PAUSE_MAX = 5.0, 10.0
"""Seconds: a process that ends sooner did not really start, and the longest pause before it is started again."""
ENDING = 15.0
LOG_MAX, LOG_LOOK = 16 << 20, 60.0
"""Bytes of a log before it becomes LOG.1, and how often in seconds its size is looked at."""
HEARD = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


class Child:
    """One process, started again whenever it ends; with growing pauses where it ends at once."""

    def __init__(self, name: str, spec: dict):
        self.name, self.spec, self.process = name, spec, None
        self.pause, self.due, self.started, self.ended, self.status = 0.1, 0.0, 0.0, 0, None

    def start(self) -> None:
        parent = os.getpid()

        def prepare() -> None:
            end_with_parent(parent)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)  # a mask is inherited

        with open(self.spec["log"], "ab", opener=private) as log:
            self.process = subprocess.Popen(
                self.spec["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=self.spec["fds"],
                env=os.environ | self.spec["environment"], preexec_fn=prepare,
            )  # fmt: skip
        self.started = time.monotonic()

    def look(self) -> None:
        """Notice an end, and start again when it is time."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            self.pause = 0.1 if now - self.started > QUICK else min(PAUSE_MAX, self.pause * 2)
            self.ended, self.status = self.ended + 1, self.process.returncode
            say("a process ended and is started again", process=self.name, status=self.status, pause=self.pause)
            self.process, self.due = None, now + self.pause
        if self.process is None and now >= self.due:
            self.start()

    def end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            say("a process did not end when it was told to", process=self.name)
            self.process.kill()
            self.process.wait()

    def rotate(self) -> None:
        """Begin a log anew where it is long. It is copied and cut, for its writers hold it open."""
        log = self.spec["log"]
        if os.path.getsize(log) > LOG_MAX:
            shutil.copyfile(log, log + ".1")
            os.chmod(log + ".1", 0o640)
            os.truncate(log, 0)


def main(path: str) -> None:
    with open(path) as file:
        spec = json.load(file)
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    if spec["parent"]:
        end_with_parent(spec["parent"], signal.SIGTERM)
    children = [Child(name, child) for name, child in spec["children"].items()]
    for child in children:
        child.start()
    watch(children, spec["state"])
    for child in reversed(children):
        child.end()
    os.unlink(spec["state"])


def watch(children: list[Child], state: str) -> None:
    """Keep the children going until a signal says to end."""
    while True:
        publish(state, children)
        waits = [max(0.0, c.due - time.monotonic()) for c in children if c.process is None]
        heard = signal.sigtimedwait(HEARD, min([LOG_LOOK, *waits]))
        if heard and heard.si_signo != signal.SIGCHLD:
            return
        for child in children:
            child.look()
            child.rotate()


def publish(path: str, children: list[Child]) -> None:
    """Say which processes there are, for `status` and `down`."""
    about = {c.name: {"pid": c.process and c.process.pid, "ended": c.ended, "status": c.status} for c in children}
    fresh = path + ".new"
    with open(fresh, "w") as file:
        json.dump({"supervisor": os.getpid(), "children": about}, file)
    os.replace(fresh, path)


def say(event: str, **fields: object) -> None:
    """A line of the supervisor's log, in the form of the others'."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = {"logger": "supervisor", **fields, "event": event, "level": "warning", "timestamp": moment}
    sys.stderr.write(json.dumps(line) + "\n")


def private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


if __name__ == "__main__":
    main(sys.argv[1])
