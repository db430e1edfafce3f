"""
The stack: the services under test.

They are the thing measured, so they import nothing from the rest of the project.
"""
