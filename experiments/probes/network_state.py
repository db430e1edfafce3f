"""
What the network of a deployment consists of: links, routes, firewall rules and settings.
"""

from __future__ import annotations

import subprocess

from experiments.probes.environment import SYSCTLS
from experiments.records.manifest import NetworkState

TIMEOUT_S = 20


def network_state(network_namespace: str) -> NetworkState:
    """
    The state of a network namespace, which is named by its path.
    """
    settings = [name for name in SYSCTLS if name.startswith("net/")]
    show = " ".join(f"/proc/sys/{name}" for name in settings)
    return NetworkState(
        links=_lines(network_namespace, "ip -brief link"),
        addresses=_lines(network_namespace, "ip -brief address"),
        routes=_lines(network_namespace, "ip route"),
        firewall=_lines(network_namespace, "iptables-save"),
        sysctls=_lines(network_namespace, f"grep --with-filename . {show} 2>/dev/null || true"),
    )


def _lines(network_namespace: str, command: str) -> list[str]:
    done = subprocess.run(
        ["nsenter", f"--net={network_namespace}", "--", "sh", "-c", command],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        return [f"`{command}` failed: {done.stderr.strip()}"]
    # Comments of iptables-save hold the time of day.
    return [line.rstrip() for line in done.stdout.splitlines() if not line.startswith("#")]
