"""The top app: it has no models, only commands and what holds the others together."""

from django.apps import AppConfig


class AuthprojectConfig(AppConfig):
    """Install `authproject` so that its commands are found."""

    name = "authproject"
