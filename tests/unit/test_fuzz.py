"""
Whatever a reader of other people's data is given, it ends in an answer or in a typed error.
"""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.errors import UsageError
from tests.fuzz import corpus
from tests.fuzz.corpus import CORPUS, LARGEST_BYTES, MOST_KEPT, empty_folder, keep, kept
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import Target, check, targets

if TYPE_CHECKING:
    from pathlib import Path

with empty_folder() as made:
    TARGETS = targets(made)

INPUTS = [(name, path.name) for name in TARGETS for path in kept(name)]


def survives(target: Target, data: bytes) -> None:
    """
    Any exception that is no typed error is the target's fault.
    """
    with empty_folder() as folder:
        check(target, data, folder)


@pytest.mark.parametrize("name", TARGETS)
def test_the_samples_are_valid(name: str) -> None:
    """
    What is changed is something that is read without an error, except by another reader of it.
    """
    for sample in TARGETS[name].samples:
        with empty_folder() as folder:
            TARGETS[name].read(sample, folder)


@pytest.mark.parametrize("name", TARGETS)
@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.data())
def test_a_changed_sample_is_survived(name: str, data: st.DataObject) -> None:
    """
    One to three changes that leave the rest of the sample's structure intact.
    """
    sample = data.draw(st.sampled_from(TARGETS[name].samples))
    random = data.draw(st.randoms(use_true_random=True))
    survives(TARGETS[name], mutated(sample, random))


@pytest.mark.parametrize("name", TARGETS)
@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.binary() | st.text().map(str.encode))
def test_arbitrary_bytes_are_survived(name: str, data: bytes) -> None:
    """
    With no structure at all.
    """
    survives(TARGETS[name], data)


@pytest.mark.parametrize(("name", "file"), INPUTS)
def test_the_kept_corpus_is_survived(name: str, file: str) -> None:
    """
    What the fuzzer once found by the coverage of the code.
    """
    data = (CORPUS / name / file).read_bytes()
    assert len(data) <= LARGEST_BYTES
    survives(TARGETS[name], data)


def test_the_kept_corpus_is_of_targets_and_small() -> None:
    """
    A renamed target would lose its inputs unseen.
    """
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
    assert max(len(kept(name)) for name in TARGETS) <= 2 * MOST_KEPT


def test_an_untyped_error_is_a_finding() -> None:
    """
    So are words that cannot be printed.
    """

    def untyped(_data: bytes, _folder: object) -> None:
        raise KeyError

    def unprintable(_data: bytes, _folder: object) -> None:
        msg = "\ud800"
        raise UsageError(msg)

    with pytest.raises(KeyError):
        survives(Target("x", (), untyped), b"")
    with pytest.raises(UnicodeEncodeError):
        survives(Target("x", (), unprintable), b"")


@pytest.mark.parametrize("sample", [b'{"a": [1, {"b": "c"}]}', b'[{"a": 1}]', b"[]", b"{}"])
def test_changed_json_is_json(sample: bytes) -> None:
    """
    Mostly another one.
    """
    random = Random(1)  # noqa: S311 - no secret
    changed = {mutated(sample, random, most_changes=1) for _ in range(40)}
    assert len(changed) > 5
    for each in changed:
        json.loads(each)


def test_of_json_lines_one_is_changed() -> None:
    """
    With one change, the others are as they were.
    """
    lines = [b'{"a": 1}', b'{"b": [2, 3]}', b'{"c": "d"}']
    for seed in range(20):
        random = Random(seed)  # noqa: S311 - no secret
        changed = mutated(b"\n".join(lines), random, most_changes=1).split(b"\n")
        assert len(changed) == 3
        assert sum(one != other for one, other in zip(lines, changed, strict=True)) <= 1


def test_what_reaches_something_new_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The smallest of what reaches the same, and nothing that the samples reach already.
    """
    monkeypatch.setattr(corpus, "CORPUS", tmp_path / "kept")
    target = TARGETS["answer"]
    known = [b"no JSON", b"no JSON either", b"[]", *target.samples]
    for number, data in enumerate(known):
        (tmp_path / str(number)).write_bytes(data)
    inputs = [tmp_path / str(number) for number in range(len(known))]
    assert keep(target, inputs) == 2
    assert {path.read_bytes() for path in kept("answer")} == {b"no JSON", b"[]"}
