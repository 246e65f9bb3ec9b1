"""The ASGI entry, kept for servers that speak nothing else; WSGI is faster for this code."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authproject.settings")

application = get_asgi_application()
