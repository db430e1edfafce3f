"""
The errors that a user sees: what was wrong, with which value, and the next thing to do.
"""

from __future__ import annotations

INTERRUPTED_STATUS = 130
"""What a command exits with that the user interrupted, as shells have it."""


class BridgetollError(Exception):
    """
    Base of every error that is reported without a traceback.

    ``exit_status`` is what the command that met it exits with.
    """

    exit_status = 1


class UsageError(BridgetollError):
    """
    An option, a variants file or a workload that makes no sense.
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
    A Compose file that cannot be read, or asks for what a deployment cannot honour.
    """


class DeployError(BridgetollError):
    """
    A deployment that did not come up, or did not go away.
    """


class LoadError(BridgetollError):
    """
    A response that is not the expected one, or a load generator that failed or printed rubbish.
    """


class ProofError(BridgetollError):
    """
    A trial that is not what its variant's name says: another path, or a difference not declared.
    """


class ResultsError(BridgetollError):
    """
    A results folder that cannot be read or written.
    """
