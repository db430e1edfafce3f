"""
Run the product service with Flask's development server.
"""

from services.product import app
from services.web import serve

serve(app)
