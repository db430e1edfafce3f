"""
Run the registry service with Flask's development server.
"""

from services.registry import app
from services.web import serve

serve(app)
