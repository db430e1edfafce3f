"""
The product service with a late start: it serves after it receives SIGUSR1.

Until then its port is closed, and the gateway answers 502: a stack that is loaded before it is up.
All imports are done before, so it serves immediately after the signal.
"""

from __future__ import annotations

import signal

# Blocked before the imports: they take time, and an unblocked signal would end the process. This
# module is outside the product package, because that would be imported first.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})

from services.product import app  # noqa: E402 - see above
from services.web import serve  # noqa: E402 - see above

signal.sigwait({signal.SIGUSR1})
serve(app)
