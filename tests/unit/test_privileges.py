"""
Compose projects whose services could leave the lab are refused, by key and value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from experiments.deployments.compose import ComposeProject
from experiments.deployments.privileges import is_sensitive, privileges, refuse_privileges
from experiments.errors import ComposeError
from experiments.paths import PROJECT_IN_LAB, RUN_IN_LAB

if TYPE_CHECKING:
    from pathlib import Path


def bind(source: str, *, read_only: bool = False) -> dict[str, Any]:
    """
    A bind mount as Compose resolves it.
    """
    return {"type": "bind", "source": source, "target": "/mounted", "read_only": read_only}


REACHING: list[tuple[str, object]] = [
    ("privileged", True),
    ("pid", "host"),
    ("ipc", "host"),
    ("uts", "host"),
    ("cgroup", "host"),
    ("userns_mode", "host"),
    ("cgroup_parent", "/"),
    ("devices", ["/dev/vda:/dev/vda"]),
    ("device_cgroup_rules", ["b *:* rwm"]),
    ("runtime", "other"),
    ("use_api_socket", True),
    ("cap_add", ["ALL"]),
    ("cap_add", ["SYS_ADMIN"]),
    ("cap_add", ["cap_sys_module"]),
    ("security_opt", ["seccomp=unconfined"]),
    ("security_opt", ["systempaths=unconfined"]),
    ("volumes", [bind("/")]),
    ("volumes", [bind("/", read_only=True)]),
    ("volumes", [bind("/srv", read_only=True)]),
    ("volumes", [bind(RUN_IN_LAB)]),
    ("volumes", [bind(f"{RUN_IN_LAB}/raw", read_only=True)]),
    ("volumes", [bind("/dev/../sys", read_only=True)]),
    ("volumes", [bind("/var/run/docker.sock")]),
    ("volumes", [bind("/proc/1/root", read_only=True)]),
    ("volumes", [bind("/usr/bin")]),
    ("post_start", [{"command": ["true"], "privileged": True}]),
    ("deploy", {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}),
]


@pytest.mark.parametrize(("key", "value"), REACHING)
def test_a_key_that_reaches_the_machine_is_refused_with_its_remedy(key: str, value: object) -> None:
    """
    The service, the key and the value, and what to do.
    """
    config = {"services": {"honest": {"command": ["true"]}, "other": {key: value}}}
    (found,) = privileges(config)
    assert found.startswith(f"services.other.{key}")
    with pytest.raises(ComposeError, match=r"could leave the lab.*--allow-privileged"):
        refuse_privileges(ComposeProject((), (), config))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cap_add", ["NET_ADMIN", "CAP_SYS_CHROOT", "mknod"]),
        ("cap_drop", ["ALL"]),
        ("security_opt", ["no-new-privileges:true"]),
        ("network_mode", "host"),
        ("pid", "service:gateway"),
        ("volumes", [bind(f"{PROJECT_IN_LAB}/services"), bind("/etc/localtime", read_only=True)]),
        ("volumes", [{"type": "volume", "source": "data", "target": "/data"}]),
        ("tmpfs", ["/run"]),
    ],
)
def test_what_stays_in_the_lab_is_not_refused(key: str, value: object) -> None:
    """
    A network, files and capabilities of its own.
    """
    refuse_privileges(ComposeProject((), (), {"services": {"other": {key: value}}}))


def test_other_ways_to_mount_a_path_are_refused_too() -> None:
    """
    As the device of a volume, as a secret, and as a configuration.
    """
    config = {
        "services": {},
        "volumes": {"all": {"driver_opts": {"type": "none", "o": "bind", "device": "/"}}},
        "secrets": {"one": {"file": "/proc/1/environ"}},
        "configs": {"two": {"file": f"{RUN_IN_LAB}/manifest.json"}, "three": {"content": "x"}},
    }
    found = [each.partition(":")[0] for each in privileges(config)]
    assert found == ["secrets.one.file", "configs.two.file", "volumes.all.driver_opts.device"]


def test_a_link_to_a_path_of_the_lab_is_that_path(tmp_path: Path) -> None:
    """
    Also if the link looks harmless.
    """
    (tmp_path / "data").symlink_to("/proc")
    (tmp_path / "own").mkdir()
    assert is_sensitive(str(tmp_path / "data/1/root"), writable=False)
    assert not is_sensitive(str(tmp_path / "own"), writable=False)
