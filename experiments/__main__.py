"""
Run a command of the experiments: see ``experiments.host.cli``.
"""

import os
import sys

if os.name != "posix":
    sys.exit(f"error: this needs Linux, but this system is {sys.platform}; run it on Linux")

# They import modules that exist on POSIX systems only.
from experiments.host.cli import main
from experiments.output import outlive_readers
from experiments.processes import hear_stops

hear_stops()
outlive_readers()
sys.exit(main(sys.argv[1:]))
