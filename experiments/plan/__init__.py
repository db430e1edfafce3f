"""
What a run is to do: its options, its manifest, orders, sizes and when it has enough.
"""
