"""
OCI specifications: the one that Docker gives to runc, reduced to a confinement.
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException

from experiments.declare.factors import FACTORS
from experiments.deployments.images import account_of, group_of
from experiments.errors import DeployError
from experiments.lab.capabilities import SERVICE, oci_names
from experiments.lab.daemon import DockerDaemon
from experiments.lab.docker_layout import bundle
from experiments.lab.image import IMAGE
from experiments.lab.network import NetworkNamespace
from experiments.lab.syscalls import FILTER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from experiments.deployments import Site
    from experiments.deployments.compose_services import Service, Settings

INIT = "/sbin/docker-init"
"""Where Docker has the first process of a container with ``init``."""


def has_primitive(confinement: str, primitive: str) -> bool:
    """
    Whether a confinement, which is named by its last primitive, includes this primitive.
    """
    primitives = FACTORS["confinement"].levels
    return primitives.index(confinement) >= primitives.index(primitive)


def docker_spec(site: Site) -> dict[str, Any]:
    """
    The OCI specification of a container that Docker starts here.

    Raises DeployError if Docker does not start one.
    """
    group = site.group.child("daemon")
    group.create()
    with (
        NetworkNamespace(site.network_namespace) as namespace,
        DockerDaemon(
            network_namespace_path=namespace.path,
            directory=site.directory,
            group=group,
            container_group=site.group,
            store=site.image_store,
        ) as daemon,
    ):
        try:
            container = daemon.client.containers.run(
                IMAGE, ["sleep", "60"], detach=True, network_mode="host"
            )
        except (DockerException, OSError) as error:
            # The client's errors of a daemon that has just ended are of the second kind.
            msg = f"Docker cannot start a container to imitate: {error}"
            raise DeployError(msg) from error
        found = bundle(Path(f"/proc/{daemon.first_process()}/root"), str(container.id))
        if not (found / "config.json").exists():
            msg = f"Docker keeps no specification of its container in {found}"
            raise DeployError(msg)
        content: dict[str, Any] = json.loads((found / "config.json").read_text())
        return content


def bundle_config(
    spec: Mapping[str, Any],
    confinement: str,
    service: Service,
    *,
    hostname: str,
    environment: Mapping[str, str],
    root: Path,
    mounts: Mapping[str, tuple[Path, bool]],
    network_namespace_path: str,
    group: str,
    filtered: bool,
) -> dict[str, Any]:
    """
    Docker's specification adapted to this service, without the primitives beyond the confinement.

    ``mounts`` maps paths in the container to paths here, and to whether they are read-only. With
    ``filtered`` the lab's filter of system calls takes the place of Docker's, if that is beyond.

    Raises DeployError if ``spec`` is empty.
    """
    if not spec:
        msg = "Docker's OCI specification is missing; docker_spec() reads it"
        raise DeployError(msg)
    config: dict[str, Any] = copy.deepcopy(dict(spec))
    settings = service.settings
    config["hostname"] = settings.hostname or hostname
    config["root"] = {"path": str(root), "readonly": settings.read_only}
    # Docker's hooks concern its networks.
    config.pop("hooks", None)
    process = config["process"]
    process["args"] = [*([INIT, "--"] if settings.init else []), *service.command]
    # Docker gives every container its name.
    told = {"HOSTNAME": config["hostname"], **environment}
    process["env"] = [f"{key}={value}" for key, value in told.items()]
    process["cwd"] = service.working_dir
    process["user"] = _user(service)
    process["terminal"] = False
    process["noNewPrivileges"] = settings.no_new_privileges
    # A container has the daemon's limits; a process here has the lab's.
    process["rlimits"] = [
        {"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard}
        for name, (soft, hard) in settings.ulimits.items()
    ]
    linux = config["linux"]
    linux["cgroupsPath"] = group
    linux["sysctl"] = dict(settings.sysctls)
    kinds = ("mount", "pid", "ipc", "uts", "cgroup")
    linux["namespaces"] = [
        {"type": item["type"]} for item in linux["namespaces"] if item["type"] in kinds
    ]
    linux["namespaces"].append({"type": "network", "path": network_namespace_path})
    # The limits are set on the control group, in the same way for both runtimes.
    devices = linux.get("resources", {}).get("devices", [])
    linux["resources"] = {"devices": devices}
    config["mounts"] = [
        _sized(mount, settings.shm_bytes)
        for mount in config["mounts"]
        if not mount["destination"].startswith("/etc/")
    ]
    bound = dict(mounts)
    if settings.init:
        bound[INIT] = (Path(shutil.which("docker-init") or INIT), True)
    config["mounts"] += [
        {
            "type": "bind",
            "source": str(source),
            "destination": target,
            "options": ["rbind", "rprivate", "ro" if read_only else "rw"],
        }
        for target, (source, read_only) in bound.items()
    ]
    config["mounts"] += [
        {"type": "tmpfs", "source": "tmpfs", "destination": target, "options": options.split(",")}
        for target, options in service.tmpfs.items()
    ]
    if not has_primitive(confinement, "seccomp"):
        linux.pop("seccomp", None)
        if filtered:
            linux["seccomp"] = FILTER
    if not has_primitive(confinement, "capabilities"):
        plain = oci_names(SERVICE)
        process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), plain)
    _change_capabilities(process["capabilities"], settings)
    return config


def _sized(mount: dict[str, Any], shm_bytes: int | None) -> dict[str, Any]:
    """
    A mount of Docker's, with another size if it is /dev/shm and a size is asked for.
    """
    if mount["destination"] != "/dev/shm" or shm_bytes is None:  # noqa: S108 - in a container
        return mount
    options = [each for each in mount["options"] if not each.startswith("size=")]
    return {**mount, "options": [*options, f"size={shm_bytes}"]}


def _change_capabilities(sets: dict[str, list[str]], settings: Settings) -> None:
    """
    Take away and add what the Compose file says; ``ALL`` stands for all, as with Docker.
    """
    dropped = set(_oci(settings.capabilities_dropped))
    for name, known in sets.items():
        kept = [] if "CAP_ALL" in dropped else [each for each in known if each not in dropped]
        sets[name] = [*kept, *(_oci(settings.capabilities_added))]


def _oci(names: Iterable[str]) -> list[str]:
    return [f"CAP_{each.upper().removeprefix('CAP_')}" for each in names]


def _user(service: Service) -> dict[str, Any]:
    account = account_of(service.image.layers, service.user)
    extra = [
        *account.groups,
        *(group_of(service.image.layers, each) for each in service.settings.groups),
    ]
    return {"uid": account.uid, "gid": account.gid, "additionalGids": extra}
