"""
The stored results: the manifest of a run and one record per trial, with a schema version.

A run is a folder with ``manifest.json``, ``trials.jsonl`` (one record per line, flushed to disk
when its trial ends), and ``raw/<trial>/`` with the output of the tools. ``aside/<session>/`` has
what an interrupted session left unfinished and a later one did again; nothing reads it. The records
of the reference run are compressed (``trials.jsonl.xz``). The types of a manifest are dataclasses
without dependencies; those of a trial are the decoder's own, because a run has thousands. The
analysis imports nothing else of the experiments but declarations and errors. ``ab`` reads the
output of ab.

What a run did not write is never used. ``limits`` says which numbers a record may hold, ``checks``
what must agree in it and with the manifest, and ``streams`` how large a file may be. A torn last
line and a faulty record are set aside: the report goes on without them, and names them before any
number. A faulty manifest, a trial that is there twice, records of another schema, and a file that
is too large refuse the run, because nobody can tell what of it is true.

Schema history:
    1  the first.
    2  factors of the ladder; facts, path and CPU time of a trial; ladders and wholes of a run.
    3  the stopping rule and the ending of a run; the order holds the blocks that were begun.
    4  the pulse of a load, the first requests and the first answer, the open loop, the pilot.
    5  the loads of a trial, one per round; parts of a block; the load at once; the pulse goes.
    6  every part of a record has its own type.
    7  the role of a comparison; later, without a new version, the digest of a trial's raw data, and
       of a run the digest of its code and its sessions.
"""
