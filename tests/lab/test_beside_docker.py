"""
A dockerd with containers under load on the host notices nothing of a whole run.

The host's dockerd is the userland's, beside the lab and outside of it: with its own data root and
socket, in a network namespace that stands for the host's. The run is started in this namespace too.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from experiments.commands import run_command
from experiments.lab.cgroups import hierarchies, remove_directories
from experiments.lab.docker_layout import STORAGE_DRIVER, contents, descriptions
from experiments.lab.mounts import Mount, bind, script
from experiments.paths import PROJECT
from experiments.processes import Process, first_child
from experiments.records.files import latest_run
from experiments.records.store import read_trials
from experiments.records.trials import OK
from tests.lab.conftest import residue, settled
from tests.lab.test_runs import TINY, finish

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from experiments.lab.userland import Userland

IMAGE = "bridgetoll/userland"
SERVER = ("python3", "-m", "http.server", "--directory", "/etc", "8000")
PORTS = (18080, 18081)
COMMAND_LIMIT_S = 120

CLIENT = """
import collections, json, signal, sys, time, urllib.request
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
answers = collections.Counter()
while not stopped:
    for port in sys.argv[1:]:
        try:
            url = f"http://127.0.0.1:{port}/debian_version"
            with urllib.request.urlopen(url, timeout=60) as answer:
                said = f"{answer.status} {answer.read().decode()}"
        except OSError as error:
            said = repr(error)
        answers[f"{port}: {said}"] += 1
    time.sleep(0.01)
print(json.dumps(answers))
"""
"""Asks the containers without a pause, and counts their answers at its end."""

SYSCTLS = """
import pathlib
for path in sorted(pathlib.Path("/proc/sys/net").rglob("*")):
    if path.is_file() and path.name != "nf_conntrack_count":
        try:
            print(path, path.read_text().split())
        except OSError:
            pass
"""


class HostDocker:
    """
    A dockerd with two containers, as a context; ``group`` names its containers' control group.
    """

    def __init__(self, built: Userland, directory: Path) -> None:
        """
        ``directory`` gets its log and its root.
        """
        self._built = built
        self._directory = directory
        self._group = f"test-host-{uuid.uuid4().hex[:8]}"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """
        Start the daemon and its containers.
        """
        with self._stack:
            self._stack.callback(remove_directories, self.groups())
            log = self._stack.enter_context((self._directory / "dockerd.log").open("wb"))
            outer = subprocess.Popen(self._arguments(), stdout=log, stderr=log)
            self._stack.callback(outer.wait, 20)
            self._stack.callback(outer.kill)
            deadline = time.monotonic() + COMMAND_LIMIT_S
            while True:
                try:
                    self.pid = first_child(outer.pid)
                    if run_command(self.inside("docker", "version"), limit_s=10).ok:
                        break
                except ProcessLookupError:
                    pass
                assert time.monotonic() < deadline, (self._directory / "dockerd.log").read_text()
                time.sleep(0.1)
            self._start_containers()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        Kill everything, and remove the control groups.
        """
        self._stack.close()

    def groups(self) -> list[Path]:
        """
        Its containers' control group in every hierarchy.
        """
        return [each.mount / self._group for each in hierarchies(inside_lab=False)]

    def inside(self, *command: str) -> list[str]:
        """
        The command line of a command on that host, with its files.
        """
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--wdns=/", "--", *command]

    def beside(self, *command: str) -> list[str]:
        """
        The command line of a command on that host's network, with this machine's files.
        """
        return ["nsenter", f"--target={self.pid}", "--net", "--", *command]

    def snapshot(self) -> dict[str, object]:
        """
        Everything that an administrator of that host sees of Docker, without counters.
        """
        containers = json.loads(said(self.inside("docker", "inspect", "first", "second")))
        knobs = {
            str(path): path.read_text()
            for top in self.groups()
            for path in sorted(top.rglob("*"))
            if re.search(r"cpus|mems|\.max$|limit|quota|shares|weight|\.freeze|procs$", path.name)
            and os.access(path, os.R_OK)
            and not re.search(r"usage|failcnt", path.name)
        }
        enabled = [
            (each.mount / "cgroup.subtree_control").read_text()
            for each in hierarchies(inside_lab=False)
            if each.version == 2
        ]
        counters = r"\[\d+:\d+\]|^#.*$"
        return {
            "containers": containers,
            "networks": json.loads(
                said(self.inside("docker", "network", "inspect", "bridge", "host", "none", "shop"))
            ),
            "images": said(self.inside("docker", "images", "--all", "--no-trunc", "--quiet")),
            "rules": re.sub(counters, "", said(self.inside("iptables-save")), flags=re.MULTILINE),
            "rules, IPv6": re.sub(
                counters, "", said(self.inside("ip6tables-save")), flags=re.MULTILINE
            ),
            "ruleset": said(self.inside("nft", "--stateless", "list", "ruleset")),
            "addresses": json.loads(said(self.inside("ip", "-j", "address"))),
            "links": json.loads(said(self.inside("ip", "-j", "link"))),
            "routes": json.loads(said(self.inside("ip", "-j", "route", "show", "table", "all"))),
            "sysctls": said(self.beside(sys.executable, "-c", SYSCTLS)).splitlines(),
            "modules": {line.split()[0] for line in read("/proc/modules").splitlines()},
            "knobs": knobs,
            "controllers": enabled,
        }

    def _start_containers(self) -> None:
        said(self.inside("docker", "network", "create", "shop"))
        limits = ("--memory", "256m", "--cpus", "1", "--network", "shop")
        for name, port, more in (("first", PORTS[0], ()), ("second", PORTS[1], limits)):
            run = ("docker", "run", "--detach", "--restart", "always", "--name", name)
            said(self.inside(*run, *more, "--publish", f"{port}:8000", IMAGE, *SERVER))
        # New addresses change by themselves, until the kernel knows that nobody else has them.
        deadline = time.monotonic() + COMMAND_LIMIT_S
        while "tentative" in said(self.inside("ip", "-j", "address")):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def _arguments(self) -> list[str]:
        scratch, store = self._directory / "scratch", self._built.image_store
        root = f"{scratch}/root"
        data = f"{root}/var/lib/docker"
        layers = f"lowerdir={self._built.root},upperdir={scratch}/upper,workdir={scratch}/work"
        steps = [
            script([Mount("tmpfs", "scratch", str(scratch), "mode=755")]),
            f"mkdir {scratch}/upper {scratch}/work",
            script(
                [
                    Mount("overlay", "userland", root, layers),
                    Mount("proc", "proc", f"{root}/proc"),
                    Mount("rbind", "/dev", f"{root}/dev"),
                    Mount("sysfs", "sysfs", f"{root}/sys"),
                    Mount("rbind", "/sys/fs/cgroup", f"{root}/sys/fs/cgroup"),
                    Mount("tmpfs", "run", f"{root}/run"),
                    Mount("tmpfs", "data", data),
                    *(bind(each, f"{data}/{each.relative_to(store)}") for each in contents(store)),
                ]
            ),
            *(
                shlex.join(["cp", "-r", str(each), f"{data}/{each.relative_to(store)}"])
                for each in descriptions(store)
            ),
            f"cd {root}",
            "mkdir .outside",
            "pivot_root . .outside",
            "cd /",
            "umount -l /.outside",
            "ip link set lo up",
            f"exec dockerd --storage-driver {STORAGE_DRIVER} --cgroup-parent /{self._group}",
        ]
        return [
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL"),
            *("--propagation", "private", "sh", "-euc", "\n".join(steps)),
        ]


def said(command: Sequence[str]) -> str:
    """
    What a command prints, which succeeds.
    """
    ended = run_command(command, limit_s=COMMAND_LIMIT_S)
    assert ended.ok, ended.failure()
    return ended.text


def read(path: str) -> str:
    """
    The content of a file that some kernels do not have.
    """
    return Path(path).read_text() if Path(path).exists() else ""


@pytest.fixture
def machine() -> object:
    """
    What is left on this machine is compared with what was there.
    """
    before = residue()
    yield
    assert settled(before) == before


@pytest.mark.usefixtures("machine")
def test_the_host_s_docker_notices_nothing_of_a_run(built: Userland, tmp_path: Path) -> None:
    """
    Rules, bridges, settings and containers are the same afterwards; meanwhile each answer is good.
    """
    with HostDocker(built, tmp_path) as host:
        client = subprocess.Popen(
            host.beside(sys.executable, "-c", CLIENT, *map(str, PORTS)),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            began = time.time()
            before = host.snapshot()
            own = ("--owner", str(Process.of(os.getpid())))
            command = (sys.executable, "-u", "-m", "experiments", *own, "measure")
            plan = ("--blocks", "1", "--variants", "netns,docker", "--results", str(tmp_path / "r"))
            run = subprocess.Popen(
                host.beside(*command, *plan, *TINY),
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            text = finish(run)
            assert run.returncode == 0, text
            after = host.snapshot()
            events = said(
                host.inside(
                    *("docker", "events", "--since", f"{began:.3f}"),
                    *("--until", f"{time.time():.3f}"),
                )
            )
        finally:
            client.send_signal(signal.SIGTERM)
            answers = json.loads(client.communicate(timeout=90)[0])
    trials = read_trials(latest_run(tmp_path / "r"))
    assert {(trial.variant, trial.status) for trial in trials} >= {("netns", OK), ("docker", OK)}
    assert {trial.status for trial in trials} == {OK}
    assert {part: after[part] for part in before if after[part] != before[part]} == {}
    assert events == ""
    assert sorted(answer.partition(": ")[2][:4] for answer in answers) == ["200 ", "200 "], answers
    assert min(answers.values()) > 1, answers
