"""
Privileges: what in a Compose project would let a service reach the machine.

Such a project is refused before anything of it is started, unless the user allows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import ComposeError
from experiments.lab.capabilities import DOCKER, SERVICE, oci_names
from experiments.paths import (
    IMAGE_STORE_IN_LAB,
    PROJECT_IN_LAB,
    RUN_IN_LAB,
    STACK_IN_LAB,
    STACK_STORE_IN_LAB,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from experiments.deployments.compose import ComposeProject

OPTION = "--allow-privileged"

HARMLESS = frozenset(oci_names((*SERVICE, *DOCKER)))

OF_THE_HOST = ("pid", "ipc", "userns_mode", "uts", "cgroup")
"""Keys whose value ``host`` puts a service into a namespace of dockerd's."""

ALWAYS = (
    *("cgroup_parent", "credential_spec", "device_cgroup_rules", "devices", "gpus"),
    *("privileged", "provider", "runtime", "use_api_socket"),
)
"""Keys that give a service devices, another control group or runtime, or Docker itself."""

HARMLESS_OPTIONS = ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")

SENSITIVE = tuple(
    Path(path)
    for path in (
        *("/dev", "/proc", "/run", "/sys", "/var/lib/docker", "/var/run"),
        *(RUN_IN_LAB, str(IMAGE_STORE_IN_LAB), str(STACK_STORE_IN_LAB)),
    )
)
"""Paths of the lab; a mount of one, of what is below it, or of what contains it is refused."""


def refuse_privileges(project: ComposeProject) -> None:
    """
    Raise ComposeError with every key and value that would let a service reach the machine.
    """
    found = privileges(project.config)
    if found:
        msg = (
            f"{'; '.join(found)}: so a service could leave the lab. Remove this from the Compose "
            "file, or mount what it needs read-only; if you trust the services as you trust root, "
            f"add {OPTION}"
        )
        raise ComposeError(msg)


def privileges(config: Mapping[str, Any]) -> list[str]:
    """
    The keys of a resolved Compose configuration that reach the machine, with their values.
    """
    found = []
    for name, service in config.get("services", {}).items():
        found += [f"services.{name}.{each}" for each in _of_service(service)]
    for kind in ("secrets", "configs"):
        for name, table in (config.get(kind) or {}).items():
            path = (table or {}).get("file")
            if path and is_sensitive(path, writable=False):
                found.append(f"{kind}.{name}.file: {path}")
    for name, table in (config.get("volumes") or {}).items():
        device = ((table or {}).get("driver_opts") or {}).get("device")
        if device and is_sensitive(device, writable=True):
            found.append(f"volumes.{name}.driver_opts.device: {device}")
    return found


def _of_service(service: Mapping[str, Any]) -> Iterator[str]:
    for key in ALWAYS:
        if service.get(key):
            yield f"{key}: {_shown(service[key])}"
    for key in OF_THE_HOST:
        if service.get(key) == "host":
            yield f"{key}: host"
    for name in service.get("cap_add") or []:
        if f"CAP_{str(name).upper().removeprefix('CAP_')}" not in HARMLESS:
            yield f"cap_add: {name}"
    for option in service.get("security_opt") or []:
        if option not in HARMLESS_OPTIONS:
            yield f"security_opt: {option}"
    yield from _of_tables(service)


def _of_tables(service: Mapping[str, Any]) -> Iterator[str]:
    for volume in service.get("volumes") or []:
        source = volume.get("source") or ""
        if volume.get("type") == "bind" and is_sensitive(
            source, writable=not volume.get("read_only")
        ):
            mode = ":ro" if volume.get("read_only") else ""
            yield f"volumes: {source}:{volume.get('target')}{mode}"
    for key in ("post_start", "pre_stop"):
        for hook in service.get(key) or []:
            if hook.get("privileged"):
                yield f"{key}: {_shown(hook)}"
    resources = (service.get("deploy") or {}).get("resources") or {}
    devices = (resources.get("reservations") or {}).get("devices")
    if devices:
        yield f"deploy.resources.reservations.devices: {_shown(devices)}"


def is_sensitive(source: str, *, writable: bool) -> bool:
    """
    Whether a mount of this path gives a service what is the lab's own; links are followed.

    To write, only the checkout may be mounted, which is read-only in the lab, and the user's own
    project, of which each deployment has a copy: the runner uses all other files, or other trials
    do.
    """
    try:
        places = {Path(source), Path(source).resolve()}
    except OSError:
        # Such as a link of the kernel into another process's files.
        return True
    for path in places:
        if any(path.is_relative_to(each) or each.is_relative_to(path) for each in SENSITIVE):
            return True
        own = path.is_relative_to(PROJECT_IN_LAB) or path.is_relative_to(STACK_IN_LAB)
        if writable and not own:
            return True
    return False


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
