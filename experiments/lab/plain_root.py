"""
The userland as a root without an overlay, for processes without container primitives.

The lab's root is an overlay, which is a primitive of a container. Processes without primitives get
the image layer itself, read-only, with the lab's writable directories mounted into it.
"""

from __future__ import annotations

from pathlib import Path

from experiments.lab.docker_layout import layer
from experiments.lab.mounts import Mount, bind, mount

PLAIN_ROOT = Path("/mnt")
SHARED = ("/dev", "/proc", "/sys", "/run", "/tmp", "/srv")  # noqa: S108 - in the lab


def make_plain_root(image_store: Path) -> Path:
    """
    Mount the plain root, if it is not mounted yet; return its path. It ends with the lab.

    Raises HostError if it cannot be mounted.
    """
    if (PLAIN_ROOT / "usr").exists():
        return PLAIN_ROOT
    mounts = [bind(layer(image_store), str(PLAIN_ROOT))]
    mounts += [Mount("rbind", path, f"{PLAIN_ROOT}{path}") for path in SHARED]
    mount(mounts, f"the userland at {PLAIN_ROOT}")
    return PLAIN_ROOT
