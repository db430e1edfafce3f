"""
The claims of the published report, and what became of each.
"""
