"""
Run the gateway service with Flask's development server.
"""

from services.gateway import app
from services.web import serve

serve(app)
