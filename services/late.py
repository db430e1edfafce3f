"""
The product service, but late: it serves only from when it is sent SIGUSR1.

Until then its port is closed, and the gateway in front of it answers 502: a stack that is loaded
before it is up. Everything is imported beforehand, so that it then serves at once.
"""

from __future__ import annotations

import signal

# Before the imports, which take a while: a signal that is not blocked would end the process. (For
# that it is no module of the product package, which would be imported first.)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})

from services.product import app  # noqa: E402 - see above
from services.web import serve  # noqa: E402 - see above

signal.sigwait({signal.SIGUSR1})
serve(app)
