"""The first run: prepare an installation, start its processes, show the main job."""
