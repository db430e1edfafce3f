"""
The local machine: the sealed lab on this host's kernel.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import INTERRUPTED_STATUS, HostError
from experiments.lab import userland
from experiments.lab.cached_build import remove_leftovers
from experiments.lab.cgroups import hierarchies
from experiments.lab.freezer import check_freezer
from experiments.lab.lab import Lab
from experiments.lab.mounts import Mount, bind
from experiments.machines.host_packages import TO_BUILD, TO_ENTER, ensure
from experiments.machines.kernel_modules import load_bridge_netfilter
from experiments.machines.lock import RunLock
from experiments.machines.stack_store import STACKS, fill_store
from experiments.machines.terminal import own_terminal
from experiments.output import say_in_handler
from experiments.paths import (
    IMAGE_STORE_IN_LAB,
    PROJECT,
    PROJECT_IN_LAB,
    RUN_IN_LAB,
    STACK_IN_LAB,
    STACK_STORE_IN_LAB,
)
from experiments.probes.environment import environment
from experiments.processes import handle_stops, interrupt, stops_handled_by
from experiments.records.folder import make_folder, unwritable
from experiments.records.manifest import MachineRecord, UserlandRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from experiments.declare.stack import Stack
    from experiments.machines import Archive
    from experiments.records.manifest import Environment

PASSED_ON = ("TERM", "NO_COLOR")
"""Variables about the terminal, which the lab gets if they are set."""

STOPPING = "stopping: taking deployments down, then writing the report"


def cache_directory() -> Path:
    """
    The cache of userlands and boxes: ``BRIDGETOLL_CACHE``, else in the user's cache directory.
    """
    asked = os.environ.get("BRIDGETOLL_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(asked or f"{base}/bridgetoll").expanduser().resolve()


def make_cache(cache: Path) -> None:
    """
    Make the folder of the cache, and write to it, because builds and labs will.

    Raises HostError if that is not possible.
    """
    try:
        make_folder(cache.parent)
        cache.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=cache) as file:
            file.write(bytes(4096))
    except OSError as error:
        # Not the name of the file, which nobody knows.
        named = OSError(error.errno, error.strerror)
        msg = f"the cache {unwritable(named, cache)}; BRIDGETOLL_CACHE names another folder for it"
        raise HostError(msg) from error


def _interrupted_or(status: int, words: str) -> BaseException:
    return KeyboardInterrupt() if status == INTERRUPTED_STATUS else HostError(words)


class LocalMachine:
    """
    This host; see ``experiments.machines.Machine``. Push and pull do nothing.
    """

    name = "local"

    def __init__(self, cache: Path, mirror: str = "", stack_folder: Path | None = None) -> None:
        """
        ``cache`` contains userlands and notes of labs; ``mirror`` is empty for Debian's default.

        ``stack_folder`` is where a user's Compose project is here, if not where its record says.
        """
        self._cache = cache
        self._mirror = mirror
        self._stack_folder = stack_folder

    def up(self) -> None:
        """
        Install missing packages, and build the userland if the cache does not have it.
        """
        if os.geteuid() != 0:
            msg = "the lab needs root to create namespaces; run this as root, or install sudo"
            raise HostError(msg)
        check_freezer(hierarchies(inside_lab=False))
        ensure(TO_ENTER)
        load_bridge_netfilter()
        make_cache(self._cache)
        remove_leftovers(self._cache)
        found = userland.find(self._cache, self._mirror)
        if found is None:
            ensure(TO_BUILD)
            found = userland.build(self._cache, self._mirror, kept_open=RunLock.held)
        self.userland = found

    def facts(self) -> tuple[MachineRecord, UserlandRecord]:
        """
        The machine's name, and the userland's digest and contents.
        """
        userland = UserlandRecord(
            digest=self.userland.digest,
            content_sha256=self.userland.content_sha256,
            mirror=self._mirror or "default",
            packages=self.userland.packages,
            wheels=self.userland.wheels,
        )
        return MachineRecord(self.name), userland

    def environment(self) -> Environment:
        """
        As the kernel of this host tells it.
        """
        return environment(inside_lab=False)

    def recover(self, run: Path) -> None:
        """
        Does nothing: the run is on this host.
        """

    def push(self, run: Path) -> None:
        """
        Does nothing: the run is on this host.
        """

    def pull(self, run: Path) -> None:
        """
        Does nothing: the run is on this host.
        """

    def halt(self) -> None:
        """
        Does nothing: this host keeps running.
        """

    def destroy(self) -> None:
        """
        Does nothing: a lab ends with its command, and the user may delete the cache.
        """

    def survey(self, run: Path, stack: Stack) -> None:
        """
        Let Compose read the project in the lab.
        """
        command = ["python3", "-m", "experiments.run.survey"]
        command += [stack.name, str(stack.folder), *stack.files]
        mounts = [bind(run.resolve(), RUN_IN_LAB, writable=True), *self._mounts_of(stack)]
        if status := self.enter(command, mounts):
            raise _interrupted_or(status, f"the stack {stack.name} cannot be read; see above")

    def fill_store(
        self, stack: Stack, archives: Sequence[Archive], builds: Mapping[str, str]
    ) -> str:
        """
        Load and build in the lab, once for these archives and this project's files.
        """
        here = dataclasses.replace(stack, folder=self._stack_folder or stack.folder)
        return fill_store(self._cache, here, archives, builds, self.enter)

    def _mounts_of(self, stack: Stack | None) -> list[Mount]:
        if stack is None:
            return []
        mounts = [bind(self._stack_folder or stack.folder, str(STACK_IN_LAB))]
        if stack.store:
            store = self._cache / STACKS / stack.store / "store"
            mounts.append(bind(store, str(STACK_STORE_IN_LAB)))
        return mounts

    def execute(self, run: Path, stack: Stack | None = None) -> int:
        """
        Execute the plan in the lab.
        """
        mounts = [bind(run.resolve(), RUN_IN_LAB, writable=True)]
        mounts += self._mounts_of(stack)
        command = ["python3", "-m", "experiments.run.runner", RUN_IN_LAB, str(run)]
        return self.enter(command, mounts)

    def enter(
        self, command: Sequence[str], mounts: Sequence[Any] = (), *, ask: bool = False
    ) -> int:
        """
        Run a command in the lab; its exit status.

        Signals that would end this process are forwarded to the command, so that it can stop in an
        orderly way. With ``ask`` the command may use the caller's terminal.
        """
        stop = False

        def pass_on(number: int, _frame: FrameType | None) -> None:
            nonlocal stop
            before, stop = stop, True
            if not before and not ask:
                say_in_handler(STOPPING)
            # An interactive shell ignores SIGTERM.
            lab.send_signal(signal.SIGHUP if ask and number == signal.SIGTERM else number)

        streams = nullcontext({"stdin": sys.stdin.fileno()}) if ask else own_terminal()
        with (
            stops_handled_by(interrupt),
            streams as given,
            Lab(
                root=self.userland.root,
                state=self._cache / "labs",
                command=command,
                mounts=[
                    bind(PROJECT, PROJECT_IN_LAB),
                    bind(self.userland.image_store, str(IMAGE_STORE_IN_LAB)),
                    *mounts,
                ],
                environment={
                    "PYTHONPATH": PROJECT_IN_LAB,
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "HOME": "/root",
                    **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
                },
                kept_open=RunLock.held,
                **given,
            ) as lab,
        ):
            handle_stops(pass_on)
            status = lab.wait()
        return INTERRUPTED_STATUS if stop and status else status
