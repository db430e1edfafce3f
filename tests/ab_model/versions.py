"""
The versions of ab that count or print in another way.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """
    A version, by the last release of Apache HTTP Server that has it.

    ``bits`` is the size of a long, in which versions before 2.2.9 count bytes.
    """

    name: str
    headline: str
    release: tuple[int, ...]
    bits: int = 64

    def before(self, *release: int) -> bool:
        """
        Whether it is older than a release.
        """
        return self.release < release

    @property
    def is_trunk(self) -> bool:
        """
        Whether it has several workers, and counts in its own way.
        """
        return not self.before(2, 5)


VERSIONS = (
    Version("1.3c", "1.3c <$Revision: 1.6 $> apache-2.0", (1, 3, 19)),
    Version("1.3d", "1.3d <$Revision: 1.73 $> apache-1.3", (1, 3, 42)),
    Version("2.0.36", "2.0.36 <$Revision: 1.97 $> apache-2.0", (2, 0, 36)),
    Version("2.0.40", "2.0.40-dev <$Revision: 1.120 $> apache-2.0", (2, 0, 50)),
    Version("2.0.40, 32 bits", "2.0.40-dev <$Revision: 1.120 $> apache-2.0", (2, 0, 50), bits=32),
    Version("2.0.41", "2.0.41-dev <$Revision: 1.121.2.12 $> apache-2.0", (2, 0, 65)),
    Version("2.2", "2.0.40-dev <$Revision: 1.146 $> apache-2.0", (2, 2, 8)),
    Version("2.2.9", "2.3 <$Revision: 655654 $>", (2, 2, 34)),
    Version("2.4.4", "2.3 <$Revision: 1430300 $>", (2, 4, 6)),
    Version("2.4.7", "2.3 <$Revision: 1528965 $>", (2, 4, 23)),
    Version("2.4.25", "2.3 <$Revision: 1757674 $>", (2, 4, 35)),
    Version("2.4.59", "2.3 <$Revision: 1913912 $>", (2, 4, 62)),
    Version("Debian", "2.3 <$Revision$>", (2, 4, 62)),
    Version("trunk", "2.3 <$Revision$>", (2, 5)),
)
BY_NAME = {version.name: version for version in VERSIONS}
