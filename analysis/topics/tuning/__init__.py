"""
The search for the best Docker configuration.
"""
