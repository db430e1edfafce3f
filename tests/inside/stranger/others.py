"""
Ways to the runner and to other trials.
"""

# ruff: noqa: D103 - the name of a probe says what it tries

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path

from .kernel import call, check, files_below, libc, opened, probe

TREASURE = "srv/run/secret"
"""A file in the folder of the run, relative to the lab's root."""

MOUNTED = "/lab"
"""Where a privileged container mounts the folder above that of the run."""

IN_SIGHT = b"pytest"
"""Part of the command line of the process that plays the runner."""

SEGMENT = 0x42726964
"""The key of a segment of shared memory in the lab."""

MARK = "stranger-was-here"
PLACES = ("/usr/lib", "/etc", "/tmp", "/run", "/srv", "/srv/run", "/dev", "/dev/shm")  # noqa: S108


def others() -> list[int]:
    """
    All processes in sight that may be the runner.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if IN_SIGHT in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    if not found:
        raise OSError(errno.ESRCH, "the runner is not in sight")
    return found


@probe
def see_the_runner() -> str:
    return f"process {others()[0]} is in sight"


@probe
def signal_the_runner() -> str:
    os.kill(others()[0], 0)
    return "the runner takes signals"


@probe
def trace_the_runner() -> str:
    # PTRACE_SEIZE does not stop it, and ends with this process.
    check(libc.ptrace(0x4206, others()[0], None, None))
    return "ptrace"


@probe
def read_the_runner_s_environment() -> str:
    return opened(f"/proc/{pid}/environ" for pid in others())


@probe
def take_the_runner_s_files() -> str:
    handle = call("pidfd_open", others()[0], 0)
    os.close(call("pidfd_getfd", handle, 1, 0))
    return "a file of the runner's was taken"


@probe
def walk_through_proc() -> str:
    return opened(path / "root" / TREASURE for path in Path("/proc").glob("[0-9]*"))


@probe
def read_the_run_s_folder() -> str:
    return opened([f"/{TREASURE}", f"{MOUNTED}/run/secret"])


@probe
def plant_a_link_in_the_run_s_folder() -> str:
    link = Path(f"/{TREASURE}-link")
    link.symlink_to("/etc/passwd")
    link.unlink()
    return f"{link} was made"


@probe
def docker_s_socket() -> str:
    places = ["/run", "/var/run", "/var/lib/docker", "/srv"]
    sockets = [path for place in places for path in files_below(place) if path.is_socket()]
    lines = Path("/proc/net/unix").read_text().splitlines()
    names = [f"\0{line.split()[-1][1:]}" for line in lines if line.split()[-1].startswith("@")]
    last = OSError(errno.ENOENT, "no socket")
    for address in [*map(str, sockets), *names]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(address)
            except OSError as error:
                last = error
            else:
                return f"{address!r} accepts connections"
    raise last


@probe
def others_network_namespaces() -> str:
    return opened(path for path in Path("/run/netns").glob("*"))


@probe
def others_shared_memory() -> str:
    call("shmget", SEGMENT, 0, 0)
    return "a segment of the lab's is there"


@probe
def others_files_in_memory() -> str:
    return opened(["/dev/shm/secret", "/tmp/secret", "/run/secret"])  # noqa: S108


@probe
def leave_marks() -> None:
    for place in PLACES:
        with contextlib.suppress(OSError):
            Path(place, MARK).touch()
    # The test looks where they are to be seen.
    raise OSError(errno.ENODATA, "see the test")
