"""The tables of accounts."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.ids
import accounts.models.folded
import accounts.models.user


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        max_length=64, validators=[accounts.models.user.validate_username]
                    ),
                ),
                (
                    "username_folded",
                    accounts.models.folded.FoldedField(max_length=192, source="username"),
                ),
                ("email", models.EmailField(max_length=254)),
                (
                    "email_folded",
                    accounts.models.folded.FoldedField(max_length=762, source="email"),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("is_staff", models.BooleanField(default=False)),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "session_salt",
                    models.CharField(
                        default=accounts.models.user.new_session_salt,
                        editable=False,
                        max_length=32,
                    ),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ServiceClient",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("client_id", models.CharField(max_length=100)),
                ("audience", models.CharField(blank=True, max_length=500, null=True)),
                ("delivery_url", models.URLField(blank=True, max_length=500)),
                ("delivery_secret_sealed", models.BinaryField(blank=True, default=b"")),
                ("scopes", models.JSONField(blank=True, default=list)),
                ("is_active", models.BooleanField(default=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("client_id",), name="service_client_client_id_unique"
                    ),
                    models.UniqueConstraint(
                        fields=("audience",), name="service_client_audience_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("client_id", ""), _negated=True),
                        name="service_client_client_id_not_empty",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("audience", None),
                            models.Q(("audience", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="service_client_audience_not_empty",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SecurityEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("code", models.CharField(max_length=60)),
                (
                    "outcome",
                    models.CharField(
                        choices=[("success", "Success"), ("refused", "Refused")], max_length=10
                    ),
                ),
                ("address", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(blank=True, max_length=300)),
                ("request_id", models.CharField(blank=True, max_length=64)),
                ("data", models.JSONField(default=dict)),
                ("correlation", models.CharField(max_length=200, null=True)),
                ("count", models.PositiveIntegerField(default=1)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="accounts.serviceclient",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("identifier", models.CharField(editable=False, max_length=12)),
                ("secret_digest", models.CharField(editable=False, max_length=64)),
                ("scopes", models.JSONField(blank=True, default=list)),
                ("name", models.CharField(max_length=100)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_keys",
                        to="accounts.serviceclient",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SessionFamily",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("client_id", models.CharField(default="first-party", max_length=100)),
                (
                    "kind",
                    models.CharField(
                        choices=[("mobile", "Mobile"), ("browser", "Browser")], max_length=10
                    ),
                ),
                ("audience", models.CharField(max_length=500)),
                ("scope", models.TextField()),
                ("auth_time", models.DateTimeField()),
                ("acr", models.CharField(max_length=50)),
                ("amr", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_used_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "end_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("logout", "Logout"),
                            ("revoked", "Revoked"),
                            ("replay", "Replay"),
                        ],
                        max_length=20,
                    ),
                ),
                ("address", models.GenericIPAddressField(blank=True, null=True)),
                ("user_agent", models.CharField(blank=True, max_length=300)),
                ("current_jti_digest", models.CharField(blank=True, max_length=64)),
                ("previous_jti_digest", models.CharField(blank=True, max_length=64)),
                ("rotated_at", models.DateTimeField(blank=True, null=True)),
                ("rotated_by_digest", models.CharField(blank=True, max_length=64)),
                ("rotation_key_digest", models.CharField(blank=True, max_length=64)),
                ("reissues", models.PositiveSmallIntegerField(default=0)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="session_families",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "session families",
            },
        ),
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("kid", models.CharField(max_length=64)),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("access", "access"),
                            ("refresh", "refresh"),
                            ("operation", "operation"),
                            ("receipt", "receipt"),
                            ("status", "status"),
                            ("introspection", "introspection"),
                            ("checkpoint", "checkpoint"),
                        ],
                        max_length=20,
                    ),
                ),
                ("alg", models.CharField(default="ES256", max_length=10)),
                ("public_jwk", models.JSONField()),
                ("private_sealed", models.BinaryField()),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("activates_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("kid",), name="signing_key_kid_unique"),
                    models.UniqueConstraint(
                        fields=("purpose", "activates_at"), name="signing_key_one_at_a_time"
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(fields=("username",), name="user_username_unique"),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                fields=("username_folded",), name="user_username_folded_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                fields=("email_folded",), name="user_email_folded_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("username_folded", ""), _negated=True),
                name="user_username_not_empty",
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("email_folded", ""), _negated=True), name="user_email_not_empty"
            ),
        ),
        migrations.AddIndex(
            model_name="securityevent",
            index=models.Index(fields=["user", "-at"], name="security_event_of_user"),
        ),
        migrations.AddIndex(
            model_name="securityevent",
            index=models.Index(fields=["code", "-at"], name="security_event_of_code"),
        ),
        migrations.AddConstraint(
            model_name="securityevent",
            constraint=models.UniqueConstraint(
                fields=("correlation",), name="security_event_correlation_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="securityevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("count__gte", 1)), name="security_event_count_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.UniqueConstraint(
                fields=("identifier",), name="api_key_identifier_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("expires_at", None),
                    ("expires_at__gt", models.F("created_at")),
                    _connector="OR",
                ),
                name="api_key_expires_after_start",
            ),
        ),
        migrations.AddIndex(
            model_name="sessionfamily",
            index=models.Index(fields=["expires_at"], name="session_family_expires_at"),
        ),
        migrations.AddConstraint(
            model_name="sessionfamily",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("created_at"))),
                name="session_family_expires_after_start",
            ),
        ),
        migrations.AddConstraint(
            model_name="sessionfamily",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("end_reason", ""), ("ended_at", None)),
                    models.Q(
                        ("ended_at__isnull", False), models.Q(("end_reason", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="session_family_end_has_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="sessionfamily",
            constraint=models.CheckConstraint(
                condition=models.Q(("reissues__lte", 10)), name="session_family_reissues_bounded"
            ),
        ),
        migrations.AddConstraint(
            model_name="sessionfamily",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind", "browser"),
                    models.Q(("current_jti_digest", ""), _negated=True),
                    _connector="OR",
                ),
                name="session_family_mobile_has_token",
            ),
        ),
    ]
