"""All addresses: each app names its own, from the root."""

from csp.decorators import csp_update
from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from authproject.observability.health import livez, readyz
from authproject.observability.metrics import metrics

handler400 = "authproject.problems.bad_request"
handler403 = "authproject.problems.permission_denied"
handler404 = "authproject.problems.page_not_found"
handler500 = "authproject.problems.server_error"

schema = SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[])
# Swagger's own style sheet draws its icons from data: addresses. A page has no other methods: its
# renderer would fail on the answer to OPTIONS.
docs = csp_update({"img-src": "data:"})(
    SpectacularSwaggerView.as_view(
        url_name="schema",
        authentication_classes=[],
        permission_classes=[],
        http_method_names=["get", "head"],
    )
)

urlpatterns = [
    path("", TemplateView.as_view(template_name="index.html"), name="index"),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("api/v1/schema", schema, name="schema"),
    path("api/v1/docs", docs, name="docs"),
    path("", include("accounts.urls")),
    path("", include("batchtokens.urls")),
    path("", include("authproject.oauth.urls")),
]
