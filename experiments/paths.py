"""
Where the parts of this checkout stand.
"""

from pathlib import Path

PROJECT = Path(__file__).parent.parent
SERVICES = PROJECT / "services"
