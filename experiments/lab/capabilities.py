"""
The capabilities of the lab, and those of services that no container primitive confines.
"""

from __future__ import annotations

SERVICE = (
    *("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("net_bind_service", "net_broadcast", "net_admin", "net_raw"),
    *("ipc_lock", "ipc_owner", "sys_chroot", "lease", "setfcap"),
)
"""
What root may do in its own files, processes and network. None of them reaches the machine.

They are Docker's default capabilities without mknod and audit_write, and further ones about the
network, memory and files.
"""

DOCKER = (
    *("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("net_bind_service", "net_raw", "sys_chroot", "setfcap", "mknod", "audit_write"),
)
"""What Docker gives to a container by default; there a control group makes new nodes useless."""

LAB = tuple(
    dict.fromkeys(
        # Then mounts and namespaces, priorities and limits, and facts about others' processes.
        (*SERVICE, *DOCKER, "sys_admin", "sys_nice", "sys_resource", "sys_ptrace")
    )
)
"""What dockerd, mounts, network namespaces and the probes need."""


def bounded(names: tuple[str, ...]) -> list[str]:
    """
    The command prefix after which nothing can have more than these capabilities.
    """
    listed = ",".join(f"+{name}" for name in names)
    return ["setpriv", f"--bounding-set=-all,{listed}", "--inh-caps=-all", "--"]


def oci_names(names: tuple[str, ...]) -> list[str]:
    """
    The names in OCI specifications.
    """
    return [f"CAP_{name.upper()}" for name in names]
