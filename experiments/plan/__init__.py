"""
The plan of a run: options, manifest, orders, sizes, and the stopping rule.
"""
