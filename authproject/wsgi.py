"""The WSGI entry: what `manage.py serve` runs."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authproject.settings")

application = get_wsgi_application()
gc.freeze()  # what is loaded stays: no collection need look at it again
