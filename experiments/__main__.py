"""
Run a command of the experiments: see ``experiments.host.cli``.
"""

import os
import sys

if os.name != "posix":
    sys.exit(f"error: this needs Linux, but this system is {sys.platform}; run it on Linux")

if __name__ == "__main__":
    # Before the other imports, which take a second.
    from experiments.interrupts import end_at_ctrl_c

    end_at_ctrl_c()

# They import modules that exist on POSIX systems only.
try:
    from experiments.host.cli import main
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {sys.executable} has no module {error.name}; run this by nox, which installs what "
        "it needs: `nox -l` lists the sessions"
    )
from experiments.output import outlive_readers
from experiments.processes import hear_stops

hear_stops()
outlive_readers()
sys.exit(main(sys.argv[1:]))
