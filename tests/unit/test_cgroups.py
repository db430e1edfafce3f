"""
Control groups on v1, hybrid and v2 hosts, from what the kernel says of its mounts.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from experiments.errors import HostError
from experiments.lab import cgroups
from experiments.lab.cgroups import (
    ControlGroup,
    Hierarchy,
    hierarchies,
    layout,
    remove_directories,
)
from experiments.lab.mounts import cgroup_mounts

V1 = """\
20 1 0:19 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
21 20 0:20 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
22 20 0:21 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
23 20 0:22 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
"""
V1_OWN = "3:memory:/user/a\n2:cpu,cpuacct:/\n1:name=systemd:/session\n"
HYBRID = V1 + "24 20 0:23 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
V2 = "20 1 0:19 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
IN_CONTAINER = "22 20 0:21 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"


def proc(tmp_path: Path, mounts: str, own: str) -> Path:
    """
    A process's own view of its mounts and groups.
    """
    (tmp_path / "mountinfo").write_text(mounts)
    (tmp_path / "cgroup").write_text(own)
    return tmp_path


def test_v1_groups_are_made_below_the_caller_s_own(tmp_path: Path) -> None:
    """
    So that a limit on the caller goes on to hold for the lab.
    """
    found = hierarchies(inside_lab=False, proc=proc(tmp_path, V1, V1_OWN))
    assert layout(found) == "v1"
    bases = {",".join(each.controllers): str(each.base) for each in found}
    assert bases == {
        "cpu,cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "memory": "/sys/fs/cgroup/memory/user/a",
        "name=systemd": "/sys/fs/cgroup/systemd/session",
    }


def test_inside_the_lab_groups_are_made_below_the_visible_root(tmp_path: Path) -> None:
    """
    There the lab's own group is the root.
    """
    found = hierarchies(inside_lab=True, proc=proc(tmp_path, V1, V1_OWN))
    assert all(each.base == each.mount for each in found)


def test_a_hybrid_host_has_both(tmp_path: Path) -> None:
    """
    The v2 hierarchy is one more place, without controllers.
    """
    found = hierarchies(inside_lab=False, proc=proc(tmp_path, HYBRID, V1_OWN + "0::/\n"))
    assert layout(found) == "hybrid"
    assert [each.mount.name for each in found if each.version == 2] == ["unified"]


def test_a_hierarchy_that_is_seen_in_two_places_is_one(tmp_path: Path) -> None:
    """
    The place that was mounted first, whatever their names.
    """
    again = "90 1 0:19 / /mnt/sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
    (found,) = hierarchies(inside_lab=True, proc=proc(tmp_path, V2 + again, "0::/\n"))
    assert str(found.mount) == "/sys/fs/cgroup"


def test_a_v2_host_has_one_hierarchy(tmp_path: Path) -> None:
    """
    Groups are made below its root, whatever session the caller is in.
    """
    found = hierarchies(inside_lab=False, proc=proc(tmp_path, V2, "0::/user.slice/session-1\n"))
    assert layout(found) == "v2"
    assert [each.base for each in found] == [Path("/sys/fs/cgroup")]
    assert [mount.kind for mount in cgroup_mounts(found, "/new")] == ["cgroup2"]


def test_a_mount_of_a_part_of_a_hierarchy_is_understood(tmp_path: Path) -> None:
    """
    As in a container without a cgroup namespace, where paths begin outside of the mount.
    """
    here = proc(tmp_path, IN_CONTAINER, "3:memory:/docker/x/y\n")
    (found,) = hierarchies(inside_lab=False, proc=here)
    assert found.base == Path("/sys/fs/cgroup/memory/y")


def test_a_host_without_control_groups_is_an_error(tmp_path: Path) -> None:
    """
    That says what to do.
    """
    with pytest.raises(HostError, match="mount one at /sys/fs/cgroup"):
        hierarchies(inside_lab=False, proc=proc(tmp_path, "", "0::/\n"))


def test_v1_mounts_are_made_again_with_their_own_options(tmp_path: Path) -> None:
    """
    A named hierarchy has no controller, and says so.
    """
    found = hierarchies(inside_lab=True, proc=proc(tmp_path, HYBRID, V1_OWN))
    options = {mount.target: mount.options for mount in cgroup_mounts(found, "/new")}
    assert options["/new/sys/fs/cgroup/cpu,cpuacct"] == "cpu,cpuacct"
    assert options["/new/sys/fs/cgroup/systemd"] == "none,name=systemd"
    assert options["/new/sys/fs/cgroup"] == "mode=755"


def test_v2_limits_are_docker_s(tmp_path: Path) -> None:
    """
    Half a CPU is 50 ms of every 100 ms; memory is in bytes.
    """
    directory = tmp_path / "stack"
    directory.mkdir()
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    for knob in ("cpu.max", "memory.max", "memory.swap.max"):
        (directory / knob).write_text("max")
    ControlGroup("stack", [Hierarchy(2, tmp_path, tmp_path, ())]).set_limits(0.5, 2**26)
    assert (directory / "cpu.max").read_text() == "50000 100000"
    assert (directory / "memory.max").read_text() == "67108864"
    assert (directory / "memory.swap.max").read_text() == "67108864"


def test_v1_limits_are_docker_s(tmp_path: Path) -> None:
    """
    The same values, under the older names.
    """
    directory = tmp_path / "stack"
    directory.mkdir()
    (directory / "memory.memsw.limit_in_bytes").write_text("-1")
    found = [Hierarchy(1, tmp_path, tmp_path, ("cpu", "memory"))]
    ControlGroup("stack", found).set_limits(0.25, 2**26)
    assert (directory / "cpu.cfs_period_us").read_text() == "100000"
    assert (directory / "cpu.cfs_quota_us").read_text() == "25000"
    assert (directory / "memory.limit_in_bytes").read_text() == "67108864"
    # Memory and swap together, so as much swap again.
    assert (directory / "memory.memsw.limit_in_bytes").read_text() == "134217728"


V1_CPUSET, NO_CPUSET = ("cpuset",), ("pids",)


def cpusets(tmp_path: Path, *controllers: str) -> ControlGroup:
    """
    A group with one below it, which has one below it in turn; all have CPUs of their own.
    """
    for directory in ("stack", "stack/docker", "stack/docker/container"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "cpuset.cpus").write_text("0-3\n")
    (tmp_path / "cgroup.controllers").write_text("cpu cpuset\n")
    version = 1 if controllers else 2
    return ControlGroup("stack", [Hierarchy(version, tmp_path, tmp_path, controllers)])


def test_a_group_is_bound_with_all_below_it_the_lowest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Because a v1 group may not lose a CPU that one below it has.
    """
    group = cpusets(tmp_path, *V1_CPUSET)
    written: list[str] = []

    def write(path: Path, text: str) -> int:
        written.append(f"{path.parent.relative_to(tmp_path)}: {text}")
        return len(text)

    monkeypatch.setattr(Path, "write_text", write)
    assert group.bind(frozenset({3, 1}))
    assert written == ["stack/docker/container: 1,3", "stack/docker: 1,3", "stack: 1,3"]


def test_a_v2_group_without_cpus_of_its_own_has_those_of_the_one_above(tmp_path: Path) -> None:
    """
    Nothing is written there, or it would keep them when that one changes.
    """
    group = cpusets(tmp_path)
    (tmp_path / "stack/docker/cpuset.cpus").write_text("\n")
    (tmp_path / "stack/docker/container/cpuset.cpus").unlink()
    (tmp_path / "stack/cpuset.cpus").write_text("\n")
    assert group.bind(frozenset({1}))
    assert (tmp_path / "stack/cpuset.cpus").read_text() == "1"
    assert (tmp_path / "stack/docker/cpuset.cpus").read_text() == "\n"
    assert not (tmp_path / "stack/docker/container/cpuset.cpus").exists()


def test_without_a_cpuset_controller_nothing_is_bound(tmp_path: Path) -> None:
    """
    And whoever asked is told.
    """
    group = cpusets(tmp_path, *NO_CPUSET)
    assert not group.bind(frozenset({1}))
    assert (tmp_path / "stack/cpuset.cpus").read_text() == "0-3\n"


def test_a_group_is_killed_by_the_hierarchy_that_can(tmp_path: Path) -> None:
    """
    That of v2, with all below it; one that is not there any more has nothing to kill.
    """
    found = [
        Hierarchy(1, tmp_path / "v1", tmp_path / "v1", ("cpu",)),
        Hierarchy(2, tmp_path / "v2", tmp_path / "v2", ()),
    ]
    group = ControlGroup("stack", found)
    group.kill()
    for directory in group.directories():
        directory.mkdir(parents=True)
    (tmp_path / "v2/stack/cgroup.kill").write_text("")
    group.kill()
    assert (tmp_path / "v2/stack/cgroup.kill").read_text() == "1"
    assert list((tmp_path / "v1/stack").iterdir()) == []


@pytest.mark.parametrize(
    ("version", "knob"), [(2, "memory.peak"), (1, "memory.max_usage_in_bytes")]
)
def test_the_most_memory_that_a_group_took_is_read(tmp_path: Path, version: int, knob: str) -> None:
    """
    By the kernel's name for it; nothing where nothing counts it.
    """
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    controllers = ("memory",) if version == 1 else ()
    group = ControlGroup("stack", [Hierarchy(version, tmp_path, tmp_path, controllers)])
    (tmp_path / "stack").mkdir()
    assert group.peak_bytes() == 0
    (tmp_path / "stack" / knob).write_text("1048576\n")
    assert group.peak_bytes() == 2**20


def test_a_limit_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    """
    A limit in name only would be half-true.
    """
    group = ControlGroup("stack", [Hierarchy(1, tmp_path, tmp_path, ("pids",))])
    with pytest.raises(HostError, match="no cpu controller"):
        group.set_limits(0.5, None)


def test_a_group_that_cannot_be_removed_says_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With the command that shows those processes; a group in which nobody is seen has none.
    """
    monkeypatch.setattr(cgroups, "REMOVE_TIMEOUT_S", 0)
    (tmp_path / "group").mkdir()
    with subprocess.Popen(["sleep", "60"]) as one:
        # 0 stands for a process of another PID namespace.
        (tmp_path / "group" / "cgroup.procs").write_text(f"0\n{one.pid}\n")
        with pytest.raises(HostError, match=rf"group .*/group; `ps {one.pid}` shows what in it"):
            remove_directories([tmp_path / "group"])
    (tmp_path / "group" / "cgroup.procs").unlink()
    (tmp_path / "group" / "kept").write_text("")
    with pytest.raises(HostError, match=r"cannot remove the control group .*/group$"):
        remove_directories([tmp_path / "group"])
