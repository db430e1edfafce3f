"""
The keys of a service in a Compose file, and what honours each: the table is the documentation.

``docs/compose.md`` is made from it, and so is what a user sees before a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Arms(StrEnum):
    """
    Which arms do what a key says.
    """

    BOTH = "the same in both arms"
    DOCKER = "only Docker does it"
    REFUSED = "refused"


@dataclass(frozen=True)
class Key:
    """
    A key: which ``arms`` honour it, and how, what that means for the comparison, or the remedy.
    """

    arms: Arms
    about: str


def both(about: str) -> Key:
    """
    A key that means the same in both arms.
    """
    return Key(Arms.BOTH, about)


def docker(about: str) -> Key:
    """
    A key that only Docker honours; ``about`` says what that means for the comparison.
    """
    return Key(Arms.DOCKER, about)


def refused(remedy: str) -> Key:
    """
    A key with which nothing is measured.
    """
    return Key(Arms.REFUSED, remedy)


_RESOLVED = "Compose resolves it before either arm reads the project"
_METADATA = "a name for people and tools; no process sees it"
_NEVER_AGAIN = "nothing is started again: a service that ends is a fault of its trial, in both arms"
_KILLED = "services are killed at the end of a trial, in both arms"
_REACHES = "it reaches the machine; remove it"
_PLACEMENT = "the lab places the whole stack on its CPUs, so that both arms have the same"

SERVICE_KEYS: dict[str, Key] = {
    # --- the program ---
    "image": both("the root of the service, from the same layers, with the image's defaults"),
    "build": both("the image is built once, without a network, before the run"),
    "entrypoint": both("the program; without it the image's, and then `command` belongs to it"),
    "command": both("the arguments, or the program; without it the image's"),
    "environment": both("the variables of the image, then these; only their digests are stored"),
    "env_file": both(_RESOLVED),
    "working_dir": both("the folder in which the program starts"),
    "user": both("by name or number, from the accounts of the image"),
    "group_add": both("further groups of the program"),
    "init": both("a first process that passes signals on and reaps orphans"),
    "stdin_open": both("standard input is empty"),
    # --- order, health, end ---
    "depends_on": both(
        "the order of starting: after the start of others, once they are healthy, or once they "
        "have ended well"
    ),
    "healthcheck": both("until the first success only: a check under load would be measured too"),
    "restart": both(_NEVER_AGAIN),
    "stop_signal": both(_KILLED),
    "stop_grace_period": both(_KILLED),
    # --- files ---
    "volumes": both(
        "files and folders of the project, of which each trial has a copy of its own; named and "
        "anonymous volumes are in memory, and new in each trial"
    ),
    "configs": both("files of the project, mounted read-only"),
    "secrets": both("files of the project, mounted read-only"),
    "tmpfs": both("file systems in memory, with Docker's default options"),
    "read_only": both("the root cannot be written"),
    "shm_size": both("the size of /dev/shm"),
    # --- network ---
    "networks": both("a bridge for each network; addresses and aliases"),
    "network_mode": both("`host` only: the services share the network of their deployment"),
    "hostname": both("the name of the service's own host"),
    "extra_hosts": both("lines of /etc/hosts"),
    "expose": both(_METADATA),
    "ports": docker(
        "the client of both arms goes to the service's address; docker-as-given also goes to the "
        "published port, as your users on the same host do"
    ),
    "dns": docker("raw namespaces read names from /etc/hosts"),
    "dns_opt": docker("raw namespaces read names from /etc/hosts"),
    "dns_search": docker("raw namespaces read names from /etc/hosts"),
    # --- limits and privileges ---
    "deploy": both("replicas and limits; a restart policy is not followed in either arm"),
    "scale": both("the number of replicas"),
    "cpus": both("the limit of the service's control group"),
    "mem_limit": both("the limit of the service's control group"),
    "pids_limit": both("the limit of the service's control group"),
    "ulimits": both("limits of each process"),
    "sysctls": both("settings of the service's own network namespace"),
    "cap_add": both(
        "capabilities beside Docker's default ones, where they do not reach the machine"
    ),
    "cap_drop": both("capabilities that the service does not get"),
    "security_opt": both("`no-new-privileges` only"),
    "cpu_shares": docker(_PLACEMENT),
    "cpuset": docker(_PLACEMENT),
    "oom_score_adj": docker("only the order in which the kernel kills when memory is short"),
    "mem_reservation": docker("only a hint for when memory is short"),
    "mem_swappiness": docker("it matters only where memory is short"),
    "memswap_limit": docker("it matters only where memory is short"),
    # --- what only Docker has ---
    "logging": docker(
        "raw namespaces write output to a file; Docker's driver is part of what is compared"
    ),
    "labels": docker(_METADATA),
    "label_file": docker(_METADATA),
    "annotations": docker(_METADATA),
    "container_name": both("another name by which services find it"),
    "attach": both(_METADATA),
    "platform": both("the image must be of this machine's architecture"),
    "pull_policy": both("nothing is ever pulled"),
    "profiles": both(_RESOLVED),
    "extends": both(_RESOLVED),
    "develop": both("for development only; nothing follows it"),
    # --- refused ---
    "privileged": refused(_REACHES),
    "devices": refused(_REACHES),
    "device_cgroup_rules": refused(_REACHES),
    "gpus": refused(_REACHES),
    "pid": refused("services share no processes here; remove it"),
    "ipc": refused("services share no memory here; remove it"),
    "uts": refused("each service has a name of its own here; remove it"),
    "userns_mode": refused("remove it: the lab's dockerd has no user namespaces"),
    "cgroup": refused(_REACHES),
    "cgroup_parent": refused(_REACHES),
    "runtime": refused("the lab has only runc; remove it"),
    "credential_spec": refused("it is for Windows; remove it"),
    "isolation": refused("it is for Windows; remove it"),
    "tty": refused("a terminal would change how the program prints; remove it"),
    "links": refused("use networks: services on one network find each other by name"),
    "external_links": refused("name the other container's service in this project instead"),
    "volumes_from": refused("name the same volume in both services instead"),
    "mac_address": refused("remove it: addresses of the link layer are the lab's"),
    "blkio_config": refused("remove it: the lab writes to memory, not to disks"),
    "storage_opt": refused("remove it: the lab writes to memory, not to disks"),
    "cpu_count": refused("use cpus"),
    "cpu_percent": refused("use cpus"),
    "cpu_period": refused("use cpus"),
    "cpu_quota": refused("use cpus"),
    "cpu_rt_period": refused("use cpus"),
    "cpu_rt_runtime": refused("use cpus"),
    "oom_kill_disable": refused("remove it: the machine would run out of memory"),
    "domainname": refused("use hostname with the whole name"),
    "post_start": refused("put the command into the program's entry point"),
    "pre_stop": refused("remove it: services are killed at the end of a trial"),
    "provider": refused("it runs a program of the host's; describe the service itself"),
    "use_api_socket": refused(_REACHES),
    "models": refused("describe the model's server as a service"),
}
"""Every key of the Compose specification's services, and what honours it."""


def markdown() -> str:
    """
    The table as a page of the documentation.
    """
    rows = [f"| `{name}` | {key.arms} | {key.about} |" for name, key in SERVICE_KEYS.items()]
    return "\n".join(
        [
            "# What is honoured of a Compose file",
            "",
            "This page is for whoever measures a Compose project of their own. It is made from",
            "`experiments/deployments/compose_keys.py`. Before a run, the same is printed for the",
            "keys that the project has. A key that is not here is refused.",
            "",
            "| Key of a service | Which arms | How, what it means, or the remedy |",
            "|---|---|---|",
            *rows,
            "",
            "- **Networks** are bridges. A subnet must be within 198.18.0.0/15; without one, the",
            "  lab chooses. Drivers other than `bridge`, and external networks, are refused.",
            "- **Volumes** have the driver `local` without options. `secrets` and `configs` at the",
            "  top level are refused: mount the files under `volumes`.",
            "",
        ]
    )


def key_of(name: str) -> Key:
    """
    What honours a key; one that the table does not have is refused.
    """
    if name.startswith("x-"):
        return both(_METADATA)
    return SERVICE_KEYS.get(name, refused("raw namespaces do not know it; remove it"))
