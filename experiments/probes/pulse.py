"""
The pulse of a load: how far it is, and how slow the machine is, some forty times a second.

The speed of a shared machine's CPUs changes by ten per cent and more within seconds, and that is
most of the noise between two trials. A fixed piece of work, timed piece by piece on the CPUs
of the stack, shows that speed and knows little of what is measured; the analysis takes it out. It
costs one or two per cent of those CPUs, in every trial the same. (On the client's CPU it would cost
nothing, and shows little: the two are not equally slow.)
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import ProofError
from experiments.lab.launch import launch_command
from experiments.probes.beat import READY
from experiments.records import Pulse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.lab.cgroups import ControlGroup

CHECKOUT = Path(__file__).parents[2]
TIMEOUT_S = 20


class Beats:
    """
    A program that beats until it is stopped.
    """

    def __init__(self, group: ControlGroup, network_namespace: str) -> None:
        """
        Starts it in the control group, whose CPUs are the stack's.

        ``network_namespace`` is the client's, as a path.
        """
        command = [sys.executable, "-m", "experiments.probes.beat"]
        self._process = subprocess.Popen(
            launch_command(group, network_namespace, command),
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def await_first(self) -> None:
        """
        Wait until it beats.

        Raises ProofError when it does not.
        """
        output = self._process.stdout
        assert output is not None  # noqa: S101 - for the type checker
        ready = select.select([output], [], [], TIMEOUT_S)[0]
        first = output.readline().strip() if ready else ""
        if first != READY:
            self._process.kill()
            rest, _ = self._process.communicate()
            msg = f"the pulse of the load does not beat: {first} {rest}".strip()
            raise ProofError(msg)

    def stop(self) -> Pulse:
        """
        Let it take the last beat, and give all of them back.

        Raises ProofError when it does not end, or prints something else.
        """
        try:
            text, _ = self._process.communicate(timeout=TIMEOUT_S)
            return Pulse(**json.loads(text))
        except subprocess.TimeoutExpired as error:
            msg = f"the pulse of the load did not stop within {TIMEOUT_S} s and was ended"
            raise ProofError(msg) from error
        except (ValueError, TypeError) as error:
            msg = f"the pulse of the load ended with {text.strip()!r}"
            raise ProofError(msg) from error
        finally:
            self.kill()

    def kill(self) -> None:
        """
        End it, whatever it does.
        """
        self._process.kill()
        self._process.communicate()


@contextmanager
def beating(group: ControlGroup, network_namespace: str) -> Iterator[Beats]:
    """
    Beats while a load runs; they end with it, also when it fails.

    Raises ProofError when they do not begin.
    """
    beats = Beats(group, network_namespace)
    try:
        beats.await_first()
        yield beats
    finally:
        beats.kill()
