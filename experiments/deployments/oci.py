"""
OCI specifications: the one that Docker gives to runc, reduced to a confinement.
"""

from __future__ import annotations

import copy
import grp
import json
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException

from experiments.declare.factors import FACTORS
from experiments.errors import DeployError
from experiments.lab.capabilities import SERVICE, oci_names
from experiments.lab.daemon import DockerDaemon
from experiments.lab.docker_layout import bundle
from experiments.lab.image import IMAGE
from experiments.lab.network import NetworkNamespace
from experiments.lab.syscalls import FILTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.deployments import Site
    from experiments.deployments.compose_services import Service


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
    network_namespace_path: str,
    group: str,
    filtered: bool,
) -> dict[str, Any]:
    """
    Docker's specification adapted to this service, without the primitives beyond the confinement.

    With ``filtered`` the lab's filter of system calls takes the place of Docker's, if that is
    beyond.

    Raises DeployError if ``spec`` is empty.
    """
    if not spec:
        msg = "Docker's OCI specification is missing; docker_spec() reads it"
        raise DeployError(msg)
    config: dict[str, Any] = copy.deepcopy(dict(spec))
    config["hostname"] = hostname
    config["root"] = {"path": str(root), "readonly": False}
    # Docker's hooks concern its networks.
    config.pop("hooks", None)
    process = config["process"]
    process["args"] = list(service.command)
    # Docker gives every container its name.
    told = {"HOSTNAME": hostname, **environment}
    process["env"] = [f"{key}={value}" for key, value in told.items()]
    process["cwd"] = service.working_dir
    process["user"] = _user(service.user)
    process["terminal"] = False
    # A container has the daemon's limits; a process here has the lab's.
    process.pop("rlimits", None)
    linux = config["linux"]
    linux["cgroupsPath"] = group
    kinds = ("mount", "pid", "ipc", "uts", "cgroup")
    linux["namespaces"] = [
        {"type": item["type"]} for item in linux["namespaces"] if item["type"] in kinds
    ]
    linux["namespaces"].append({"type": "network", "path": network_namespace_path})
    # The limits are set on the control group, in the same way for both runtimes.
    devices = linux.get("resources", {}).get("devices", [])
    linux["resources"] = {"devices": devices}
    config["mounts"] = [
        mount for mount in config["mounts"] if not mount["destination"].startswith("/etc/")
    ]
    config["mounts"] += [
        {
            "type": "bind",
            "source": source,
            "destination": source,
            "options": ["rbind", "rprivate", "ro" if read_only else "rw"],
        }
        for source, read_only in service.volumes.items()
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
    return config


def _user(user: str) -> dict[str, Any]:
    name, _, group = (user or "root").partition(":")
    entry = pwd.getpwnam(name)
    group_id = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    extra = [item.gr_gid for item in grp.getgrall() if name in item.gr_mem]
    return {"uid": entry.pw_uid, "gid": group_id, "additionalGids": extra}
