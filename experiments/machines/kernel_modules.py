"""
The kernel module that dockerd loads on a host, which a dockerd in the lab cannot load.
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
MODPROBE_TIMEOUT_S = 30


def load_bridge_netfilter(
    say: Callable[[str], None] = print, settings: Path = BRIDGE_SETTINGS
) -> None:
    """
    Load br_netfilter, as dockerd does at its start, without an effect on the host's bridges.

    It sends bridged frames through iptables, which is a part of Docker's costs: without it
    containers would look faster than on a host with Docker. It is switched off for the host's
    bridges again; new network namespaces start with it on. If it cannot be loaded, the run
    continues, and the report says so.
    """
    if settings.is_dir() or shutil.which("modprobe") is None:
        return
    try:
        output_of(["modprobe", BRIDGE_MODULE], limit_s=MODPROBE_TIMEOUT_S, error=HostError)
        for setting in settings.glob("bridge-nf-call-*"):
            setting.write_text("0")
    except (HostError, OSError) as error:
        say(f"cannot load the kernel module {BRIDGE_MODULE}: {error}")
        return
    say(f"loaded the kernel module {BRIDGE_MODULE}, as dockerd does, but not for host bridges")
