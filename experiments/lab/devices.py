"""
A /dev of its own: the devices that every container has, and none of the machine's.
"""

from __future__ import annotations

import shlex

from experiments.lab.mounts import Mount, script

NODES = {
    "null": "1 3",
    "zero": "1 5",
    "full": "1 7",
    "random": "1 8",
    "urandom": "1 9",
    "tty": "5 0",
}
"""The numbers of the devices in it, from Documentation/admin-guide/devices.txt."""

LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}


def devices(root: str) -> str:
    """
    The shell script that makes ``/dev`` below ``root``; run it with ``sh -eu``.

    The nodes are new ones: the mode of a bound node would be the machine's.
    """
    dev = f"{root}/dev"
    quoted = shlex.quote(dev)
    mounts = [
        Mount("devpts", "devpts", f"{dev}/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5"),
        Mount("tmpfs", "shm", f"{dev}/shm", "mode=1777,nosuid,nodev,noexec"),
        Mount("mqueue", "mqueue", f"{dev}/mqueue", "nosuid,nodev,noexec"),
    ]
    return "\n".join(
        [
            script([Mount("tmpfs", "dev", dev, "mode=755,size=64k,nosuid,noexec")]),
            *(f"mknod -m 666 {quoted}/{name} c {numbers}" for name, numbers in NODES.items()),
            *(f"ln -s {target} {quoted}/{name}" for name, target in LINKS.items()),
            script(mounts),
        ]
    )
