"""
What is stored: the manifest of a run and one record per trial, versioned.

A run is a folder with ``manifest.json``, ``trials.jsonl`` (one record a line, appended and flushed
when its trial ends), and ``raw/<trial>/`` with what the tools printed. In a run that is kept the
records are compressed (``trials.jsonl.xz``). The types are dataclasses and need no library; only
``store``, which reads and writes them, does. This package is all that the analysis knows of the
experiments, and depends on nothing of them but declarations. ``ab`` reads what ab printed.

Schema history:
    1  the first.
    2  factors of the ladder; facts, path and CPU cost of a trial; ladders and wholes of a run.
    3  the rule by which a run ends, and how it ended; the order holds the blocks that were begun.
    4  the pulse of a load, the first requests and the first answer, loads by schedule, the pilot.
    5  the loads of a trial, one a round; the parts of a block; the load at once; no pulse any more.
    6  every part of a record has a type of its own.
"""
