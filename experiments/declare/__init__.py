"""
Declarations: factors, variants, workloads and profiles.
"""
