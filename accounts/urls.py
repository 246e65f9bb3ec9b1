"""The addresses of accounts, from the root."""

from django.urls import path

from accounts.api import form_views, views

api_urlpatterns = [
    path("api/v1/auth/register", views.RegisterView.as_view(), name="auth-register"),
    path("api/v1/auth/token", views.SignInView.as_view(), name="auth-token"),
    path("api/v1/auth/token/refresh", views.RefreshView.as_view(), name="auth-token-refresh"),
    path("api/v1/auth/token/verify", views.VerifyView.as_view(), name="auth-token-verify"),
    path("api/v1/auth/logout", views.LogOutView.as_view(), name="auth-logout"),
    path("api/v1/me", views.MeView.as_view(), name="me"),
]
form_urlpatterns = [
    path("token", form_views.TokenFormView.as_view(), name="token"),
    path("token/refresh", form_views.RefreshFormView.as_view(), name="token-refresh"),
    path("users/me", views.MeView.as_view(), name="users-me"),
]
urlpatterns = api_urlpatterns + form_urlpatterns
