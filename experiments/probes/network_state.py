"""
The network of a deployment: links, addresses, routes, firewall rules and settings.
"""

from __future__ import annotations

from experiments.commands import run_command
from experiments.probes.environment import SYSCTLS
from experiments.records.manifest import NetworkState

TIMEOUT_S = 20


def network_state(network_namespace_path: str) -> NetworkState:
    """
    The state of the network namespace with this path.
    """
    settings = [name for name in SYSCTLS if name.startswith("net/")]
    show = " ".join(f"/proc/sys/{name}" for name in settings)
    return NetworkState(
        links=_lines(network_namespace_path, "ip -brief link"),
        addresses=_lines(network_namespace_path, "ip -brief address"),
        routes=_lines(network_namespace_path, "ip route"),
        firewall=_lines(network_namespace_path, "iptables-save"),
        sysctls=_lines(
            network_namespace_path, f"grep --with-filename . {show} 2>/dev/null || true"
        ),
    )


def _lines(path: str, command: str) -> list[str]:
    enter = ["nsenter", f"--net={path}", "--"]
    ended = run_command([*enter, "sh", "-c", command], limit_s=TIMEOUT_S)
    if not ended.ok:
        return ended.failure(f"`{command}`").splitlines()
    # Comments of iptables-save contain the time of day.
    return [line.rstrip() for line in ended.text.splitlines() if not line.startswith("#")]
