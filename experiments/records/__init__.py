"""
The stored results: the manifest of a run and one record per trial, with a schema version.

A run is a folder with ``manifest.json``, ``trials.jsonl`` (one record per line, flushed to disk
when its trial ends), and ``raw/<trial>/`` with the output of the tools. The records of the
reference run are compressed (``trials.jsonl.xz``). The types are dataclasses without dependencies;
only ``store``, which reads and writes them, needs a library. The analysis imports nothing else of
the experiments but declarations and errors. ``ab`` reads the output of ab.

Schema history:
    1  the first.
    2  factors of the ladder; facts, path and CPU time of a trial; ladders and wholes of a run.
    3  the stopping rule and the ending of a run; the order holds the blocks that were begun.
    4  the pulse of a load, the first requests and the first answer, the open loop, the pilot.
    5  the loads of a trial, one per round; parts of a block; the load at once; the pulse goes.
    6  every part of a record has its own type.
    7  the role of a comparison.
"""
