"""
The errors that a user sees: the mistake, the wrong value, and the next step.
"""

from __future__ import annotations

import errno
from enum import StrEnum

INTERRUPTED_STATUS = 130
"""The exit status of a command that the user interrupted, as in shells."""


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
OF_MACHINE = FULL | {errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""Errors of the system that are no fault of the project wherever they happen."""


class Failure(StrEnum):
    """
    The kinds of failure of a trial; the error of a failed trial begins with one of them.
    """

    ENDED = "process ended"
    MEMORY = "out of memory"
    SPACE = "no space left"
    DEPLOY = "deployment failed"
    UNHEALTHY = "not healthy"
    ANSWER = "wrong answer"
    SILENT = "no answer"
    SLOW = "too slow"
    LOAD = "load failed"
    PROOF = "not proved"
    COMPOSE = "Compose file"
    MACHINE = "machine"


class BridgetollError(Exception):
    """
    The base of all errors that are reported without a traceback.

    ``exit_status`` is the exit status of the command, and ``failure`` the kind of failure of a
    trial with this error.
    """

    exit_status = 1
    failure = Failure.MACHINE


class UsageError(BridgetollError):
    """
    An invalid option, variants file or workload.
    """

    exit_status = 2


class HostError(BridgetollError):
    """
    This host lacks something: root, a package, disk space, a kernel feature.
    """


class LockedError(BridgetollError):
    """
    Another run holds the machine.
    """


class ComposeError(BridgetollError):
    """
    A Compose file that cannot be read, or that a deployment cannot honour.
    """

    failure = Failure.COMPOSE


class DeployError(BridgetollError):
    """
    A deployment that did not come up, or did not go away.
    """

    failure = Failure.DEPLOY


class UnhealthyError(DeployError):
    """
    A service that runs, but whose health check does not succeed.
    """

    failure = Failure.UNHEALTHY


class ProcessEndedError(DeployError):
    """
    A service or dockerd that ended by itself.
    """

    failure = Failure.ENDED


class OutOfMemoryError(ProcessEndedError):
    """
    A service that the kernel ended at its memory limit.
    """

    failure = Failure.MEMORY


class NoSpaceError(DeployError):
    """
    A service that filled the space for its output.
    """

    failure = Failure.SPACE


class DisturbedError(BridgetollError):
    """
    A machine that changed during a load: its clock was stepped, or CPUs were taken away.
    """


class LoadError(BridgetollError):
    """
    An unexpected response, or a load generator that failed or printed something unknown.
    """

    failure = Failure.LOAD


class WrongAnswerError(LoadError):
    """
    An answer with another status or content than the workload expects.
    """

    failure = Failure.ANSWER


class NoAnswerError(LoadError):
    """
    A service that refuses connections, or closes them without an answer.
    """

    failure = Failure.SILENT


class TooSlowError(LoadError):
    """
    An answer, or a load, that did not come within its time limit.
    """

    failure = Failure.SLOW


class ProofError(BridgetollError):
    """
    A trial that does not match its variant: another path, or an undeclared difference.
    """

    failure = Failure.PROOF


class ResultsError(BridgetollError):
    """
    A results folder that cannot be read or written.
    """
