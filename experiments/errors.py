"""
The errors that a user sees: the mistake, the wrong value, and the next step.
"""

from __future__ import annotations

INTERRUPTED_STATUS = 130
"""The exit status of a command that the user interrupted, as in shells."""


class BridgetollError(Exception):
    """
    The base of all errors that are reported without a traceback.

    ``exit_status`` is the exit status of the command.
    """

    exit_status = 1


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


class DeployError(BridgetollError):
    """
    A deployment that did not come up, or did not go away.
    """


class LoadError(BridgetollError):
    """
    An unexpected response, or a load generator that failed or printed something unknown.
    """


class ProofError(BridgetollError):
    """
    A trial that does not match its variant: another path, or an undeclared difference.
    """


class ResultsError(BridgetollError):
    """
    A results folder that cannot be read or written.
    """
