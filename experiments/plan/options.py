"""
The options that a user gives after ``--``, the same for every session that measures.

Standard library only: nox imports this module with its own interpreter.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from experiments.declare.profiles import (
    CONCURRENCY,
    DEFAULT_PROFILE,
    DEFAULT_SEED,
    OPEN_REQUESTS,
    PROFILES,
    REQUESTS,
    REQUESTS_AT_ONCE,
    ROUNDS,
    WARMUP_REQUESTS,
    WIDER,
)
from experiments.declare.reading import VARIANTS_FILE, load_variants
from experiments.declare.stack import FOLDER, IMAGES_FROM, STACK_VARIANTS_FILE, stack_of
from experiments.errors import UsageError
from experiments.paths import PROJECT
from experiments.records.manifest import MARGIN, PROBES

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = PROJECT / "results"

MACHINES = ("auto", "local", "vagrant")

EXAMPLES = """\
examples:
  nox -s netns docker optimized                the main measurement, 15 minutes
  nox -s netns docker -- --profile quick       a first look at both systems, 3 minutes
  nox -s ladder                                the cost of each step, 45 minutes
  nox -s netns docker -- --workload fixed      the network path without an application
  nox -s latency                               latency in an open loop, 35 minutes
  nox -s calibrate                             recovery of injected costs, 15 minutes
  nox -s sweep                                 the cost against the time of a request, 45 minutes
  nox -s netns docker -- --stack compose.yaml --url http://web:8000/
                                               your own services, from their Compose file
  nox -s measure -- --variants netns,docker    only these two variants
  nox -s measure -- --resume                   continue the newest run that did not end
  nox -s report                                rewrite the report of the latest run
"""


class _Parser(argparse.ArgumentParser):
    """
    A parser that raises UsageError and refers to the nox session's own ``--help``.
    """

    def error(self, message: str) -> NoReturn:
        msg = f"{message}; `nox -s {self.prog.split()[-1]} -- --help` explains the options"
        raise UsageError(msg)


class _OfStack(argparse.Action):
    """
    A stack of the user's has variants of its own, unless the user names a file of them.
    """

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401 - as argparse has it
        _option: str | None = None,
    ) -> None:
        """
        Raises UsageError if there is no such file.
        """
        stack = stack_of(values)
        namespace.stack = stack.folder / stack.files[0]
        if namespace.variants_file == VARIANTS_FILE:
            namespace.variants_file = STACK_VARIANTS_FILE


class _Each(argparse.Action):
    """
    An option that may be given several times, whatever its default.
    """

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        _option: str | None = None,
    ) -> None:
        """
        Add a value to a new list.
        """
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*(before if isinstance(before, list) else []), values])


def measure_parser(session: str = "measure") -> argparse.ArgumentParser:
    """
    The parser of a session that measures; its help has the time budgets of the session's group.
    """
    groups = load_variants().groups
    minutes = groups[session].minutes if session in groups else {}
    parser = _Parser(
        prog=f"nox -s {session}",
        usage=f"nox -s {session} -- [OPTION …]",
        description="Measure variants of the stack side by side, in blocks, under load in turn.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    profiles = "; ".join(
        f"{p.name}: {p.blocks} blocks"
        + (f" or more, until ±{p.half_width * 100:g} %%" if p.half_width else "")
        + f", at most {minutes.get(p.name, p.minutes):g} min ({p.about})"
        for p in PROFILES.values()
    )
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default=DEFAULT_PROFILE,
        help=f"{profiles}. Default: %(default)s",
    )
    parser.add_argument(
        "--blocks",
        type=_positive_number,
        metavar="N",
        help="number of blocks, instead of the profile's; with --half-width, the minimum number",
    )
    parser.add_argument(
        "--half-width",
        type=_percent,
        metavar="PERCENT",
        help="run blocks until the confidence interval of every focal comparison has at most this "
        f"half-width (steps of a ladder: {WIDER['step']:g} times as much; other comparisons: "
        f"{WIDER['comparison']:g} times; doses of limits: {WIDER['dose']:g} times). The decision "
        "depends on the width alone, never on the estimate",
    )
    parser.add_argument(
        "--margin",
        type=_percent,
        default=MARGIN,
        metavar="PERCENT",
        help="equivalence margin: the report says 'equivalent' if the whole confidence interval "
        "lies within it. Default: 2",
    )
    parser.add_argument(
        "--minutes",
        type=_minutes,
        metavar="M",
        help="time budget in minutes, instead of the profile's; no block starts that exceeds it",
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=DEFAULT_SEED,
        metavar="N",
        help="seed of the random order of variants in a block and of loads in a round. "
        "Default: %(default)s",
    )
    parser.add_argument(
        "--machine",
        choices=MACHINES,
        default="auto",
        help="where to measure: in a Vagrant VM, or in the sealed lab on this host's kernel; auto "
        "takes the VM if this host has hardware virtualisation. Default: %(default)s",
    )
    parser.add_argument(
        "--workload",
        default="products",
        metavar="NAME",
        help="products (as published), orders, or fixed; experiments/declare/workloads.toml "
        "describes them. Default: %(default)s",
    )
    parser.add_argument(
        "--stack",
        type=Path,
        action=_OfStack,
        metavar="FILE",
        help="measure the stack of this Compose file, as it is. Images come from archives of "
        "`docker save` in the folder images/ beside it, or are built without a network",
    )
    parser.add_argument(
        "--images-from",
        choices=IMAGES_FROM,
        default=FOLDER,
        help="where images of the --stack come from, if they are not built: archives of `docker "
        "save` and OCI layouts in the folder images/ beside the Compose file; with host, then also "
        "this host's own Docker, which is only read. Default: %(default)s",
    )
    parser.add_argument(
        "--url",
        action=_Each,
        metavar="URL",
        help="what to load of the --stack: http://SERVICE:PORT/path, with the name of a service "
        "and its own port. Several make a run each. Default: all requests of bridgetoll.toml "
        "beside the Compose file, which has methods, bodies and expected answers",
    )
    parser.add_argument(
        "--variants",
        type=_names,
        metavar="NAME[,NAME…]",
        help="measure exactly these variants, instead of those of the sessions",
    )
    parser.add_argument(
        "--variants-file",
        type=Path,
        default=VARIANTS_FILE,
        metavar="FILE",
        help="file that declares the variants. Default: experiments/declare/variants.toml",
    )
    parser.add_argument(
        "--requests",
        type=_positive_number,
        metavar="N",
        help=f"requests per load. Default: {REQUESTS}; if a pilot runs, as many as take about "
        "half a second",
    )
    parser.add_argument(
        "--rounds",
        type=_positive_number,
        metavar="N",
        help=f"loads of each deployment in a block. Default: {ROUNDS}; if the run has a target "
        "half-width, a pilot chooses the number that reaches it soonest",
    )
    parser.add_argument(
        "--agreement",
        type=_names,
        metavar="NAME[,NAME…]",
        help="after each block, compare the short loads of one of these variants with "
        f"{REQUESTS_AT_ONCE} requests in one load to a deployment that runs alone and is never "
        "frozen. `nox -s calibrate` does this",
    )
    parser.add_argument(
        "--warmup-requests",
        type=_number,
        default=WARMUP_REQUESTS,
        metavar="N",
        help="requests before the first load that counts; 0 for a cold start. Default: %(default)s",
    )
    parser.add_argument(
        "--open-loop",
        action="store_true",
        help="then measure latency in an open loop: requests follow a seeded schedule with "
        "exponential gaps, at 30, 50, 70 and 90 %% of the deployment's capacity and at a rate "
        "common to all variants, so that stalls count in full. `nox -s latency` does this",
    )
    parser.add_argument(
        "--open-requests",
        type=_positive_number,
        default=OPEN_REQUESTS,
        metavar="N",
        help="requests at each rate of the open loop. Default: %(default)s",
    )
    parser.add_argument(
        "--common-rate",
        type=_positive_number,
        metavar="N",
        help="common rate of the open loop, in requests per second. Default: half the capacity of "
        "the slowest variant, measured by a pilot",
    )
    parser.add_argument(
        "--concurrency",
        type=_positive_number,
        default=CONCURRENCY,
        metavar="N",
        help="concurrent requests in the closed loop. Default: %(default)s, as published",
    )
    parser.add_argument(
        "--same-length",
        action="store_true",
        help="run ab without -l, as published: answers whose length differs from the first one "
        "count as failed, even if the first one was the error",
    )
    parser.add_argument(
        "--allow",
        type=_names,
        metavar="FACT[,FACT…]",
        help="facts in which trials may differ although their variants do not; the report "
        "labels them. A parity error names the fact to give here",
    )
    parser.add_argument(
        "--allow-privileged",
        action="store_true",
        help="measure services that could leave the lab: privileged ones, or those with devices, "
        "namespaces of the host, or mounts of the lab's own paths. Without it they are refused; "
        "SECURITY.md says what they could do. The report names them",
    )
    parser.add_argument(
        "--probes",
        choices=PROBES,
        default="on",
        help="probe parity, path and CPU time in every trial, in none, or in every other trial, "
        "which shows the cost of the probes. Default: %(default)s",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIR",
        help="folder in which the run's folder is created. Default: results/",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="continue the plan of a run that did not end, with the same seed; RUN is its name or "
        "folder. Default: the newest run that can be resumed. --minutes gives it a new time budget "
        "instead of what is left of its own",
    )
    add_mirror(parser)
    return parser


def results_of(options: argparse.Namespace) -> Path:
    """
    The folder that has, or gets, the run of these options.
    """
    named = Path(options.resume or "")
    results: Path = options.results
    return results if named.parent == Path() else named.parent


def given_options(arguments: Sequence[str]) -> dict[str, Any]:
    """
    The options that the user gave, with their values; without defaults.
    """
    parser, not_given = measure_parser(), object()
    parser.set_defaults(**dict.fromkeys(vars(parser.parse_args([])), not_given))
    found = vars(parser.parse_args(arguments))
    return {name: value for name, value in found.items() if value is not not_given}


def add_mirror(parser: argparse.ArgumentParser) -> None:
    """
    Add the option that names the Debian mirror.
    """
    parser.add_argument(
        "--mirror",
        default="",
        metavar="URL",
        help="Debian mirror for building the userland; with a dated snapshot the build is "
        "reproducible bit for bit. Default: deb.debian.org",
    )


def _positive_number(text: str) -> int:
    number = _number(text)
    if number == 0:
        msg = f"{text!r} is not a positive integer"
        raise argparse.ArgumentTypeError(msg)
    return number


MOST_DIGITS = 9
"""Of an integer; a record holds no larger one exactly than 2**53."""

LONGEST_MINUTES = 1e6
SMALLEST_PERCENT = 0.001


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        msg = f"{text!r} is not a non-negative integer of at most {MOST_DIGITS} digits"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _seed(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * _number(digits)


def _percent(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not SMALLEST_PERCENT <= number < 100:
        msg = f"{text!r} is not a percentage above 0 ({SMALLEST_PERCENT:g} or more) and below 100"
        raise argparse.ArgumentTypeError(msg)
    return number / 100


def _minutes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= LONGEST_MINUTES:
        msg = f"{text!r} is not a positive number of minutes, {LONGEST_MINUTES:g} at most"
        raise argparse.ArgumentTypeError(msg)
    return number


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        msg = "no name is given"
        raise argparse.ArgumentTypeError(msg)
    if not text.isprintable():
        msg = f"{text!r} holds a character that no name has"
        raise argparse.ArgumentTypeError(msg)
    return names
