"""
Soak: hundreds of random kills, and hundreds of blocks; ``nox -s soak -- --help``.

``kills`` plans and carries out kills, ``processes`` finds their targets, ``host`` says what is left
behind and what was lost, ``endurance`` watches one long run. ``nox -s tests`` runs a few dozen.
"""
