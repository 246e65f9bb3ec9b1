"""Addresses of batchtokens, from the root."""

from django.urls import path

from batchtokens.api import (
    checks,
    consents,
    operations,
    queue,
    redemption_batches,
    redemptions,
    tokens,
)

urlpatterns = [
    path("api/v1/operation-types", operations.OperationTypesView.as_view(), name="operation-types"),
    path("api/v1/operations", operations.OperationsView.as_view(), name="operations"),
    path("api/v1/operations/preview", consents.PreviewView.as_view(), name="operation-preview"),
    path("api/v1/operations/consents", consents.ConsentsView.as_view(), name="consents"),
    path("api/v1/operations/consents/<public_id>", consents.ConsentView.as_view(), name="consent"),
    path(
        "api/v1/operations/consents/<public_id>/confirm",
        consents.ConfirmConsentView.as_view(),
        name="consent-confirm",
    ),
    path(
        "api/v1/operations/<public_id>/limits",
        operations.LimitsView.as_view(),
        name="operation-limits",
    ),
    path("api/v1/operations/<public_id>", operations.OperationView.as_view(), name="operation"),
    path(
        "api/v1/operations/<public_id>/check",
        checks.CheckView.as_view(),
        name="operation-check",
    ),
    path(
        "api/v1/operations/<public_id>/timeline",
        operations.TimelineView.as_view(),
        name="operation-timeline",
    ),
    path(
        "api/v1/operations/<public_id>/hold", operations.HoldView.as_view(), name="operation-hold"
    ),
    path(
        "api/v1/operations/<public_id>/resume",
        operations.ResumeView.as_view(),
        name="operation-resume",
    ),
    path(
        "api/v1/operations/<public_id>/cancel",
        operations.CancelView.as_view(),
        name="operation-cancel",
    ),
    path(
        "api/v1/operations/<public_id>/token",
        tokens.ReissuedTokenView.as_view(),
        name="operation-token",
    ),
    path("api/v1/queue", queue.QueueView.as_view(), name="queue"),
    path("api/v1/redemptions", redemptions.RedemptionsView.as_view(), name="redemptions"),
    path(
        "api/v1/redemptions/batch",
        redemption_batches.RedemptionBatchView.as_view(),
        name="redemption-batch",
    ),
    path(
        "api/v1/redemptions/<redemption_id>",
        redemptions.RedemptionView.as_view(),
        name="redemption",
    ),
    path(
        "api/v1/redemptions/<redemption_id>/settle",
        redemptions.SettleView.as_view(),
        name="redemption-settle",
    ),
    path(
        "api/v1/redemptions/<redemption_id>/release",
        redemptions.ReleaseView.as_view(),
        name="redemption-release",
    ),
]
