"""
Variants as data: what is declared, and what is refused and how.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from experiments.errors import UsageError
from experiments.variants import FACTORS, OVERLAYS, load_variants, variants_toml
from experiments.workloads import SERVICES

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
[variants.mine]
about = "mine"
runtime = "process"
network = "bridge"
entry = "direct"
discovery = "addresses"
"""


def declare(tmp_path: Path, text: str) -> Path:
    """
    A variants file with this text.
    """
    file = tmp_path / "variants.toml"
    file.write_text(text)
    return file


def test_the_published_systems_and_their_matched_pair_are_declared() -> None:
    """
    The names that the sessions use are there, each with a level of every factor.
    """
    declared = load_variants()
    assert declared.groups["netns"] == ("netns", "netns-as-published")
    assert declared.groups["docker"] == ("docker", "docker-as-published")
    for variant in declared.variants.values():
        assert variant.levels.keys() == FACTORS.keys()


def test_the_matched_pair_differs_in_its_runtime_alone() -> None:
    """
    Otherwise it would not be matched.
    """
    variants = load_variants().variants
    different = {
        factor
        for factor in FACTORS
        if variants["netns"].levels[factor] != variants["docker"].levels[factor]
    }
    assert different == {"runtime"}


def test_every_overlay_that_a_level_names_is_there() -> None:
    """
    A level without its file would silently be the base.
    """
    assert all((SERVICES / name).is_file() for name in OVERLAYS.values())
    declared = load_variants().variants["docker-as-published"]
    names = [file.name for file in declared.compose_files(SERVICES)]
    assert names == ["compose.yaml", "published.yaml", "names.yaml"]


def test_a_users_own_file_and_overlay_are_taken(tmp_path: Path) -> None:
    """
    Paths of overlays are relative to the file that names them.
    """
    (tmp_path / "mine.yaml").write_text("services: {}\n")
    file = declare(tmp_path, GOOD + 'overlays = ["mine.yaml"]\n')
    variant = load_variants(file).variants["mine"]
    assert variant.compose_files(SERVICES)[-1] == tmp_path / "mine.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + 'colour = "red"\n', r"variants\.mine: unknown key 'colour'"),
        (GOOD.replace('"bridge"', '"bridges"'), r"network is 'bridges'; it must be one of: bridge"),
        (GOOD.replace('entry = "direct"\n', ""), r"variants\.mine has no entry; choose one of"),
        (GOOD.replace('"direct"', '"published"'), "raw namespaces publish no ports"),
        (GOOD.replace('"addresses"', '"names"'), "raw namespaces have no name server"),
        (
            GOOD.replace("process", "container").replace("bridge", "tiers"),
            "keeps its bridges apart",
        ),
        (GOOD + 'overlays = ["none.yaml"]\n', "none.yaml is not a file"),
        (GOOD + 'overlays = "none.yaml"\n', "must be a list of strings"),
        (GOOD + "[groups]\nall = ['other']\n", "variant 'other' is not declared"),
        (GOOD + "[[comparisons]]\nname = 'x'\n", "comparison 1 needs about"),
        ("[variants.mine\n", "cannot be read as TOML"),
        ("variants = 3\n", "variants must be a table"),
        ("", "declares no variant"),
        ("[machines]\n", "unknown key 'machines'"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_value(
    tmp_path: Path, text: str, message: str
) -> None:
    """
    The error says which file, which key, which value, and what would be right.
    """
    file = declare(tmp_path, text)
    with pytest.raises(UsageError, match=message) as caught:
        load_variants(file)
    assert str(file) in str(caught.value) or "none.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """
    No such file, no variants.
    """
    with pytest.raises(UsageError, match="there is no variants file"):
        load_variants(tmp_path / "none.toml")


def test_an_unknown_variant_is_answered_with_the_known_ones() -> None:
    """
    A typing mistake is mended by reading the list.
    """
    with pytest.raises(UsageError, match="unknown variant 'dokcer'; the known ones are: netns, "):
        load_variants().choose(["netns", "dokcer"])


def test_without_a_declared_comparison_all_are_compared_with_the_first() -> None:
    """
    Any choice of variants gives some comparison.
    """
    pairs = load_variants().comparisons_among(["netns", "docker-as-published"])
    assert [(pair.baseline, pair.treatment) for pair in pairs] == [("netns", "docker-as-published")]
    assert load_variants().comparisons_among(["netns", "docker"])[0].name == "matched"


def test_declared_variants_are_written_as_they_were_read(tmp_path: Path) -> None:
    """
    Also with quotes, dots and letters of other alphabets in their names and words.
    """
    (tmp_path / "own.yaml").write_text("services: {}")
    odd = GOOD.replace("[variants.mine]", '[variants."a.b-c"]').replace('"mine"', "'say \"é\"'")
    odd += 'overlays = ["own.yaml"]\n'
    odd += GOOD + '[[comparisons]]\nname = "n"\nabout = "x"\n'
    odd += 'baseline = "mine"\ntreatment = "a.b-c"\n'
    first = load_variants(declare(tmp_path, odd))
    tables = [
        {**dataclasses.asdict(each), "overlays": [path.name for path in each.overlays]}
        for each in first.variants.values()
    ]
    pairs = [dataclasses.asdict(pair) for pair in first.comparisons]
    again = load_variants(declare(tmp_path, variants_toml(tables, pairs)))
    assert again.variants == first.variants
    assert again.comparisons == first.comparisons


def test_a_name_that_could_not_be_a_folder_s_is_refused(tmp_path: Path) -> None:
    """
    Trials and override files are kept below it.
    """
    with pytest.raises(UsageError, match="letters, digits"):
        load_variants(declare(tmp_path, GOOD.replace("[variants.mine]", '[variants."a/b"]')))
