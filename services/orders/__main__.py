"""
Run the orders service with Flask's development server.
"""

from services.orders import app
from services.web import serve

serve(app)
