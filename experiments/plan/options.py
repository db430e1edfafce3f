"""
The options that a user gives after ``--``, for every session alike. Standard library only.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

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
from experiments.declare.reading import VARIANTS_FILE
from experiments.errors import UsageError
from experiments.paths import PROJECT
from experiments.records.manifest import MARGIN, PROBES

RESULTS = PROJECT / "results"

MACHINES = ("auto", "local", "vagrant")

EXAMPLES = """\
examples:
  nox -s netns docker optimized                the main job, in 15 minutes
  nox -s netns docker -- --profile quick       a look at the two systems, in three minutes
  nox -s ladder                                what each single step costs, in 45 minutes
  nox -s netns docker -- --workload fixed      the network path alone, no application behind it
  nox -s latency                               latency by schedule, in 35 minutes
  nox -s calibrate                             whether what is put in comes out, in 15 minutes
  nox -s measure -- --variants netns,docker    just these two
  nox -s report                                the report of the latest run, made again
"""


class _Parser(argparse.ArgumentParser):
    """
    A parser whose mistakes are this project's errors, and whose words fit ``nox``.
    """

    def error(self, message: str) -> NoReturn:
        msg = f"{message}; `nox -s {self.prog.split()[-1]} -- --help` explains the options"
        raise UsageError(msg)


def measure_parser(session: str = "measure") -> argparse.ArgumentParser:
    """
    The parser of everything that measures.
    """
    parser = _Parser(
        prog=f"nox -s {session}",
        usage=f"nox -s {session} -- [OPTION …]",
        description="Measure variants of the stack, side by side in blocks, loaded in turn.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    profiles = "; ".join(
        f"{p.name}: {p.blocks} blocks"
        + (f" or more, until ±{p.half_width * 100:g} %%" if p.half_width else "")
        + f", {p.minutes:g} min at most ({p.about})"
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
        help="so many blocks, and no more unless --half-width is given too; instead of the "
        "profile's",
    )
    parser.add_argument(
        "--half-width",
        type=_percent,
        metavar="PERCENT",
        help="go on until the intervals of the focal comparisons reach no further than this to "
        f"either side (a ladder's steps: {WIDER['step']:g} times as far; other comparisons: "
        f"{WIDER['comparison']:g} times; doses of limits: {WIDER['dose']:g} times); never looks at "
        "what they say",
    )
    parser.add_argument(
        "--margin",
        type=_percent,
        default=MARGIN,
        metavar="PERCENT",
        help="a difference as small as this counts as none: the report says 'equivalent' where it "
        "is sure of that. Default: 2",
    )
    parser.add_argument(
        "--minutes",
        type=_minutes,
        metavar="M",
        help="begin no block that would not end within so many minutes, instead of the profile's",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=DEFAULT_SEED,
        metavar="N",
        help="decides the order of variants in each block and of loads in each round. "
        "Default: %(default)s",
    )
    parser.add_argument(
        "--machine",
        choices=MACHINES,
        default="auto",
        help="where to measure: in a Vagrant VM, or on this host's kernel in the sealed lab; "
        "auto takes what is usable. Default: %(default)s",
    )
    parser.add_argument(
        "--workload",
        default="products",
        metavar="NAME",
        help="products (the published one), orders, or fixed; experiments/declare/workloads.toml "
        "describes them. Default: %(default)s",
    )
    parser.add_argument(
        "--variants",
        type=_names,
        metavar="NAME[,NAME…]",
        help="measure exactly these, instead of what the sessions stand for",
    )
    parser.add_argument(
        "--variants-file",
        type=Path,
        default=VARIANTS_FILE,
        metavar="FILE",
        help="take the variants from this file. Default: experiments/declare/variants.toml",
    )
    parser.add_argument(
        "--requests",
        type=_positive_number,
        metavar="N",
        help=f"requests in each short load. Default: {REQUESTS}; where a pilot runs, as many as "
        "take about half a second",
    )
    parser.add_argument(
        "--rounds",
        type=_positive_number,
        metavar="N",
        help=f"short loads of each deployment in a block. Default: {ROUNDS}; where the run goes on "
        "until its intervals are narrow enough, as many as a pilot finds a deployment to be worth",
    )
    parser.add_argument(
        "--agreement",
        type=_names,
        metavar="NAME[,NAME…]",
        help="after each block hold short loads of one of these against what they stand for: "
        f"{REQUESTS_AT_ONCE} requests at once to a deployment that stands alone and was never "
        "frozen. `nox -s calibrate` does so",
    )
    parser.add_argument(
        "--warmup-requests",
        type=_number,
        default=WARMUP_REQUESTS,
        metavar="N",
        help="requests before those that count; 0 for a cold start. Default: %(default)s",
    )
    parser.add_argument(
        "--open-loop",
        action="store_true",
        help="after its loads, load each deployment by a seeded schedule with exponential gaps, at "
        "30, 50, 70 and 90 %% of its own capacity and at a rate common to all: latency that "
        "no stall can hide from. `nox -s latency` does so",
    )
    parser.add_argument(
        "--open-requests",
        type=_positive_number,
        default=OPEN_REQUESTS,
        metavar="N",
        help="requests at each of those rates. Default: %(default)s",
    )
    parser.add_argument(
        "--common-rate",
        type=_positive_number,
        metavar="N",
        help="the rate common to all, in requests per second. Default: half of what the slowest "
        "variant does in a pilot",
    )
    parser.add_argument(
        "--concurrency",
        type=_positive_number,
        default=CONCURRENCY,
        metavar="N",
        help="requests under way at once. Default: %(default)s, as published",
    )
    parser.add_argument(
        "--same-length",
        action="store_true",
        help="let ab count an answer of another length than the first as failed (ab without -l, "
        "as published), although the first may have been the bad one",
    )
    parser.add_argument(
        "--allow",
        type=_names,
        metavar="FACT[,FACT…]",
        help="facts in which trials may differ without their variants' declaring it; the report "
        "then labels them. An error about parity names the fact",
    )
    parser.add_argument(
        "--probes",
        choices=PROBES,
        default="on",
        help="look at parity, path and CPU cost in every trial, in none, or in every other one, to "
        "see what looking costs. Default: %(default)s",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="DIR",
        help="where the run's folder is made. Default: results/",
    )
    add_mirror(parser)
    return parser


def add_mirror(parser: argparse.ArgumentParser) -> None:
    """
    Add the option that names the Debian mirror.
    """
    parser.add_argument(
        "--mirror",
        default="",
        metavar="URL",
        help="the Debian mirror that the userland is built from; a dated snapshot makes the build "
        "reproducible to the bit. Default: Debian's own",
    )


def _positive_number(text: str) -> int:
    number = _number(text)
    if number == 0:
        msg = f"{text!r} is not a whole number above zero"
        raise argparse.ArgumentTypeError(msg)
    return number


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        msg = f"{text!r} is not a whole number"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _percent(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 100:
        msg = f"{text!r} is not a percentage above 0 and below 100"
        raise argparse.ArgumentTypeError(msg)
    return number / 100


def _minutes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        msg = f"{text!r} is not a number of minutes above zero"
        raise argparse.ArgumentTypeError(msg)
    return number


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        msg = "no name is given"
        raise argparse.ArgumentTypeError(msg)
    return names
