"""
What can be measured: factors, variants, workloads and profiles, as declarations.
"""
