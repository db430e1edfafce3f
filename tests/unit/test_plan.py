"""
Planning: the order of trials, and the options that decide it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from experiments.errors import UsageError
from experiments.measure import plan
from experiments.options import measure_parser
from experiments.plan import PROFILES, block_order

if TYPE_CHECKING:
    from pathlib import Path

VARIANTS = dict.fromkeys("abcd", 1)


def test_every_block_has_every_variant_once() -> None:
    """
    A block is a complete comparison.
    """
    for block in block_order(VARIANTS, 50, 7):
        assert sorted(block) == list(VARIANTS)


def test_a_variant_may_have_a_trial_in_every_third_block_only() -> None:
    """
    The first one included, so that a short run has one too.
    """
    order = block_order({"often": 1, "rare": 3}, 7, 1)
    assert ["rare" in block for block in order] == [True, False, False, True, False, False, True]
    assert all("often" in block for block in order)


def test_the_seed_decides_the_order() -> None:
    """
    The same seed gives the same run; another gives another.
    """
    assert block_order(VARIANTS, 20, 1) == block_order(VARIANTS, 20, 1)
    assert block_order(VARIANTS, 20, 1) != block_order(VARIANTS, 20, 2)


def test_no_variant_has_a_place_of_its_own() -> None:
    """
    Over many blocks each variant comes first about as often as any other.
    """
    firsts = [block[0] for block in block_order(VARIANTS, 4000, 3)]
    for variant in VARIANTS:
        assert 850 < firsts.count(variant) < 1150


def test_the_defaults_are_the_published_parameters() -> None:
    """
    A thousand requests, fifty at a time, products.
    """
    options = measure_parser().parse_args([])
    assert (options.requests, options.concurrency, options.workload) == (1000, 50, "products")
    assert (options.profile, options.machine) == ("standard", "auto")


def test_a_plan_holds_what_was_asked() -> None:
    """
    Options win over the profile.
    """
    arguments = ["--profile", "quick", "--blocks", "7", "--seed", "5", "--variants", "docker,netns"]
    made = plan(measure_parser().parse_args(arguments))
    assert (made.blocks, made.minutes, made.seed) == (7, PROFILES["quick"].minutes, 5)
    assert [variant["name"] for variant in made.variants] == ["docker", "netns"]
    assert made.order == block_order({"docker": 1, "netns": 1}, 7, 5)
    assert [pair["name"] for pair in made.comparisons] == ["matched"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "slow"], "invalid choice: 'slow'"),
        (["--blocks", "0"], "'0' is not a whole number above zero"),
        (["--blocks", "-3"], "'-3' is not a whole number"),
        (["--minutes", "nan"], "'nan' is not a number of minutes"),
        (["--minutes", "0"], "'0' is not a number of minutes"),
        (["--variants", ","], "no name is given"),
        (["--machine", "cloud"], "invalid choice: 'cloud'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_wrong_option_is_named_and_help_is_pointed_to(arguments: list[str], message: str) -> None:
    """
    The error names the value, and where the options are explained.
    """
    with pytest.raises(UsageError, match=message) as caught:
        measure_parser("netns").parse_args(arguments)
    assert "`nox -s netns -- --help`" in str(caught.value)


def test_names_that_are_not_known_are_refused_before_anything_begins(tmp_path: Path) -> None:
    """
    Planning needs no root and touches nothing.
    """
    parse = measure_parser().parse_args
    with pytest.raises(UsageError, match="unknown workload 'x'"):
        plan(parse(["--workload", "x"]))
    with pytest.raises(UsageError, match="unknown variant 'x'"):
        plan(parse(["--variants", "x"]))
    with pytest.raises(UsageError, match="there is no variants file"):
        plan(parse(["--variants-file", str(tmp_path / "none.toml")]))
