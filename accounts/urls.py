"""The addresses of accounts, from the root."""

from django.urls import path

from accounts.api import (
    activity,
    federation,
    form_views,
    keys,
    recovery,
    scopes,
    second_factor,
    second_step,
    sessions,
    views,
)
from accounts.pages.links import link_page

api_urlpatterns = [
    path("api/v1/auth/register", views.RegisterView.as_view(), name="auth-register"),
    path("api/v1/auth/email/verify", recovery.VerifyEmailView.as_view(), name="auth-email-verify"),
    path(
        "api/v1/auth/email/resend",
        recovery.ResendVerificationView.as_view(),
        name="auth-email-resend",
    ),
    path("api/v1/auth/email/change", recovery.ChangeEmailView.as_view(), name="auth-email-change"),
    path(
        "api/v1/auth/email/change/confirm",
        recovery.ConfirmEmailView.as_view(),
        name="auth-email-change-confirm",
    ),
    path(
        "api/v1/auth/password/change",
        recovery.ChangePasswordView.as_view(),
        name="auth-password-change",
    ),
    path(
        "api/v1/auth/password/reset",
        recovery.AskForResetView.as_view(),
        name="auth-password-reset",
    ),
    path(
        "api/v1/auth/password/reset/confirm",
        recovery.ResetPasswordView.as_view(),
        name="auth-password-reset-confirm",
    ),
    path("api/v1/auth/not-me", recovery.NotMeView.as_view(), name="auth-not-me"),
    path("api/v1/auth/token", views.SignInView.as_view(), name="auth-token"),
    path(
        "api/v1/auth/token/totp",
        second_step.CompleteSignInView.as_view(),
        name="auth-token-totp",
    ),
    path("api/v1/auth/step-up", second_step.StepUpView.as_view(), name="auth-step-up"),
    path("api/v1/auth/token/refresh", views.RefreshView.as_view(), name="auth-token-refresh"),
    path("api/v1/auth/token/verify", views.VerifyView.as_view(), name="auth-token-verify"),
    path("api/v1/auth/logout", views.LogOutView.as_view(), name="auth-logout"),
    path("api/v1/auth/federation", federation.ProvidersView.as_view(), name="auth-federation"),
    path(
        "api/v1/auth/federation/<str:provider>",
        federation.BeginFederationView.as_view(),
        name="auth-federation-begin",
    ),
    path(
        "api/v1/auth/federation/<str:provider>/callback",
        federation.FederationCallbackView.as_view(),
        name="auth-federation-callback",
    ),
    path("api/v1/me", views.MeView.as_view(), name="me"),
    path("api/v1/me/sessions", sessions.SessionsView.as_view(), name="me-sessions"),
    path(
        "api/v1/me/sessions/end-others",
        sessions.EndOthersView.as_view(),
        name="me-sessions-end-others",
    ),
    path("api/v1/me/sessions/end-all", sessions.EndAllView.as_view(), name="me-sessions-end-all"),
    path("api/v1/me/sessions/<str:public_id>", sessions.SessionView.as_view(), name="me-session"),
    path("api/v1/scopes", scopes.ScopesView.as_view(), name="scopes"),
    path("api/v1/me/activity", activity.ActivityView.as_view(), name="me-activity"),
    path("api/v1/me/identities", federation.IdentitiesView.as_view(), name="me-identities"),
    path(
        "api/v1/me/identities/<str:name>",
        federation.IdentityView.as_view(),
        name="me-identity",
    ),
    path("api/v1/me/totp", second_factor.TotpView.as_view(), name="me-totp"),
    path("api/v1/me/totp/confirm", second_factor.ConfirmTotpView.as_view(), name="me-totp-confirm"),
    path(
        "api/v1/me/recovery-codes",
        second_factor.RecoveryCodesView.as_view(),
        name="me-recovery-codes",
    ),
    path("api/v1/me/api-keys", keys.ApiKeysView.as_view(), name="me-api-keys"),
    path("api/v1/me/api-keys/<str:public_id>", keys.ApiKeyView.as_view(), name="me-api-key"),
    path(
        "api/v1/me/api-keys/<str:public_id>/rotate",
        keys.ApiKeyRotationView.as_view(),
        name="me-api-key-rotate",
    ),
]
form_urlpatterns = [
    path("token", form_views.TokenFormView.as_view(), name="token"),
    path("token/refresh", form_views.RefreshFormView.as_view(), name="token-refresh"),
    path("users/me", views.MeView.as_view(), name="users-me"),
]
page_urlpatterns = [path("accounts/links/<slug:slug>", link_page, name="link")]
urlpatterns = api_urlpatterns + form_urlpatterns + page_urlpatterns
