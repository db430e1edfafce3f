"""
The stack: the services under test.

They are what is measured, so they import nothing from the rest of the project.
"""
