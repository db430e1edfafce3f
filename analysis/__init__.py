"""
Estimates, figures and ``report.md`` from a results folder; needs no root and no lab.
"""

import os

# The matrices are small: threads would cost more than they save, and sums would depend on them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
