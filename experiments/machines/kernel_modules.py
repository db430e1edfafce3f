"""
Kernel modules that a Docker daemon on the host itself would load, and one in the lab cannot.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import output_of
from experiments.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable

BRIDGE_SETTINGS = Path("/proc/sys/net/bridge")
BRIDGE_MODULE = "br_netfilter"
LOAD_TIMEOUT_S = 30


def load_bridge_netfilter(
    say: Callable[[str], None] = print, settings: Path = BRIDGE_SETTINGS
) -> None:
    """
    Load br_netfilter, as dockerd does at its start, and leave the host's own bridges as they were.

    It makes bridged frames pass iptables, which is part of what Docker costs; without it containers
    would look cheaper than they are on a host with Docker. Loading it would switch that on for the
    host's own bridges too, so there it is switched off again; new network namespaces begin with it
    on. When it cannot be loaded the run goes on, and the report says that it was missing.
    """
    if settings.is_dir() or shutil.which("modprobe") is None:
        return
    try:
        output_of(["modprobe", BRIDGE_MODULE], limit_s=LOAD_TIMEOUT_S, error=HostError)
        for setting in settings.glob("bridge-nf-call-*"):
            setting.write_text("0")
    except (HostError, OSError) as error:
        say(f"the kernel module {BRIDGE_MODULE} cannot be loaded and set up: {error}")
        return
    say(f"loaded the kernel module {BRIDGE_MODULE}, as dockerd does; off for the host's bridges")
