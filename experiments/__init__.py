"""
How a variant is deployed, loaded and measured.
"""
