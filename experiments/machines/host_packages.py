"""
Packages that the host needs, with their purpose; missing ones are installed if possible.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import run_command
from experiments.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INSTALL_TIMEOUT_S = 900
LOCK_TIMEOUT_S = 300


@dataclass(frozen=True)
class Need:
    """
    A command or a file, its Debian package, and its purpose.
    """

    wanted: str
    package: str
    purpose: str

    def missing(self) -> bool:
        """
        Whether it is missing on this host.
        """
        if self.wanted.startswith("/"):
            return not Path(self.wanted).exists()
        return shutil.which(self.wanted) is None


TO_ENTER = (
    Need("unshare", "util-linux", "to make the lab's namespaces"),
    Need("setpriv", "util-linux", "to end the lab when its owner ends"),
    Need("mount", "mount", "to mount the lab's root"),
    Need("bash", "bash", "to set the lab up"),
)
TO_BUILD = (
    Need("mmdebstrap", "mmdebstrap", "to build the userland"),
    Need("tar", "tar", "to make the Docker image from the userland"),
    Need(
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "debian-archive-keyring",
        "to check Debian's signatures",
    ),
)


def ensure(needs: Sequence[Need], say: Callable[[str], None] = print) -> None:
    """
    Install missing packages, if the host has apt-get and the user is root.

    Otherwise, or if the installation fails, raises HostError with the packages.
    """
    missing = [need for need in needs if need.missing()]
    if not missing:
        return
    packages = sorted({need.package for need in missing})
    reasons = ", ".join(sorted({f"{need.package} ({need.purpose})" for need in missing}))
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        msg = f"this host lacks: {reasons}. Install {' '.join(packages)} and try again"
        raise HostError(msg)
    say(f"installing missing packages with apt-get: {reasons}")
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
    # Another installation may be under way.
    install += ["-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT_S}", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = run_command(
        ["apt-get", "update", "--quiet"], limit_s=INSTALL_TIMEOUT_S, environment=environment
    )
    # After a failed update the old lists remain, which are often good enough.
    done = run_command(install, limit_s=INSTALL_TIMEOUT_S, environment=environment, merge=True)
    if not done.ok:
        said = [each.failure() for each in (update, done) if not each.ok]
        msg = "\n".join([*said, f"Install {' '.join(packages)} and try again"])
        raise HostError(msg)
    still = [need.wanted for need in missing if need.missing()]
    if still:
        msg = f"{', '.join(still)} is still missing after installing {' '.join(packages)}"
        raise HostError(msg)
