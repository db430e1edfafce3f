"""
Fuzz one target by the coverage of its code: ``python -m tests.fuzz.guided TARGET FOLDER …``.

Atheris instruments what is imported after it, and ends the process; so this is a program of its
own. Further arguments are libFuzzer's.
"""

from __future__ import annotations

import hashlib
import random
import sys
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["experiments", "analysis"]):
    from experiments.paths import PROJECT
    from tests.fuzz.corpus import LARGEST_BYTES, empty_folder, kept
    from tests.fuzz.mutation import mutated
    from tests.fuzz.targets import check, targets

LONGEST_INPUT_S = 20
"""An input that takes longer is a hang."""


def place(error: BaseException) -> str:
    """
    The kind of an exception, and the project's last line on its way.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if each.filename.startswith(f"{PROJECT}/")]
    last = (own or frames)[-1]
    return f"{type(error).__name__} {last.filename}:{last.lineno}"


def main(name: str, folder: Path, arguments: list[str]) -> None:
    """
    Fuzz until libFuzzer ends the process; each kind of finding is printed and stored once.
    """
    findings, inputs = folder / "findings", folder / "inputs" / name
    for each in (findings, inputs):
        each.mkdir(parents=True, exist_ok=True)
    with empty_folder() as made:
        target = targets(made)[name]
    for data in target.samples:
        (inputs / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    for path in kept(name):
        (inputs / path.name).write_bytes(path.read_bytes())
    seen: set[str] = set()

    def one(data: bytes) -> None:
        with empty_folder() as example:
            try:
                check(target, data, example)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
                if place(error) in seen:
                    return
                seen.add(place(error))
                path = findings / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
                path.write_bytes(data)
                print(f"\nfinding: {place(error)}: {path}", flush=True)
                traceback.print_exc()

    def changed(data: bytes, most: int, seed: int) -> bytes:
        generator = random.Random(seed)  # noqa: S311 - no secret
        if generator.random() < 0.3:
            return bytes(atheris.Mutate(data, most))
        return mutated(data, generator)[:most]

    usual = [
        *(f"-max_len={LARGEST_BYTES}", f"-timeout={LONGEST_INPUT_S}", "-rss_limit_mb=2048"),
        *(f"-artifact_prefix={findings}/{name}-", "-verbosity=0", "-print_final_stats=1"),
    ]
    atheris.Setup([sys.argv[0], *usual, *arguments, str(inputs)], one, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
