"""Draw a QR code as SVG that a page may hold under our content security policy."""

import io

import segno
from django.utils.translation import gettext as _


def draw_qr_code(text: str) -> str:
    """Return an <svg> element: no style, no script, light behind it also on dark pages."""
    drawing = io.BytesIO()
    segno.make(text, micro=False, error="m").save(
        drawing,
        kind="svg",
        xmldecl=False,
        nl=False,
        svgclass=None,
        lineclass=None,
        light="#fff",
        scale=4,
        # The text itself is beside the picture for those who cannot see it: never in its name.
        title=_("QR code for an authenticator app"),
    )
    return drawing.getvalue().decode().replace("<svg ", '<svg role="img" ', 1)
