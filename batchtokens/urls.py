"""Addresses of batchtokens, from the root."""

from django.urls import path

from batchtokens.api import operations, queue, redemptions

urlpatterns = [
    path("api/v1/operation-types", operations.OperationTypesView.as_view(), name="operation-types"),
    path("api/v1/operations", operations.OperationsView.as_view(), name="operations"),
    path("api/v1/operations/<public_id>", operations.OperationView.as_view(), name="operation"),
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
    path("api/v1/queue", queue.QueueView.as_view(), name="queue"),
    path("api/v1/redemptions", redemptions.RedemptionsView.as_view(), name="redemptions"),
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
