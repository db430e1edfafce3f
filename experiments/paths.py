"""
Where things are: in this checkout, and where the lab sees them.
"""

from pathlib import Path

PROJECT = Path(__file__).parent.parent
"""The root of this checkout."""

SERVICES = PROJECT / "services"
"""The Compose file with its override files, and the services' code."""

PROJECT_IN_LAB = "/srv/bridgetoll"
"""The checkout, read-only."""

RUN_IN_LAB = "/srv/run"
"""The folder of the run: the only folder of the host that the lab can write to."""

STACK_IN_LAB = Path("/srv/stack")
"""The folder of a user's Compose project, read-only."""

STACK_STORE_IN_LAB = Path("/srv/stack-store")
"""The image store of that project, read-only."""

IMAGE_STORE_IN_LAB = Path("/srv/image-store")
"""The image store of the userland, read-only."""
