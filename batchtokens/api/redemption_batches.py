"""`/api/v1/redemptions/batch`: many redemptions a call, one line each, in and out."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView

from accounts.api.permissions import HasScope, IsServiceClient
from accounts.models import ServiceClient
from accounts.scopes import REDEEM
from batchtokens.api.ndjson import MEDIA_TYPE, NdjsonParser, NdjsonRenderer, write_line
from batchtokens.api.principals import client_of
from batchtokens.api.serializers import BatchLineInput, RedeemedOutput
from batchtokens.services.redemption.redeem import RedemptionAnswer, RedemptionRequest
from batchtokens.services.redemption.redeem_batch import CHUNK, Line, Outcome, redeem_batch
from batchtokens.signals import redemption_accepted
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import FieldError, InvalidFieldsError, ProblemError
from batchtokens_verifier.jws import MAX_TOKEN_BYTES

PAGE = CHUNK  # lines
_KEY = re.compile(r"[!-~]{1,255}")
_OCCURRENCE = re.compile(r"[a-z0-9.]{1,20}")
_TOKEN = re.compile(f"[!-~]{{1,{MAX_TOKEN_BYTES}}}")
_OUTPUT = RedeemedOutput()
_MEMBERS = frozenset({"idempotency_key", "operation_token", "operation", "amount", "occurrence"})


class RedemptionBatchView(APIView):
    """Redeem many operation tokens: each line gets its own verdict and receipt."""

    permission_classes = [IsServiceClient, HasScope(REDEEM)]
    parser_classes = [NdjsonParser]
    renderer_classes = [NdjsonRenderer]
    http_method_names = ["post"]  # the renderer has no form for the answer to OPTIONS

    @extend_schema(
        request={MEDIA_TYPE: OpenApiTypes.STR}, responses={(200, MEDIA_TYPE): OpenApiTypes.STR}
    )
    def post(self, request: Request) -> Response:
        """Answer each line, in order, with what it would have got alone and `http_status`.

        A line is a redemption's body with `idempotency_key`; keys are one namespace with those of
        single redemptions. At most 5,000 lines and 16 MiB.
        """
        if not request.data:
            raise InvalidFieldsError(
                [FieldError("", "required", "At least one line, and a Content-Length.")]
            )
        numbered: Any = request.data  # the parser's
        # What a page has needed is let go before the next one: few objects live at once.
        pages = (numbered[start : start + PAGE] for start in range(0, len(numbered), PAGE))
        by = client_of(request)
        return Response([write_line(each) for page in pages for each in self._answers(by, page)])

    def _answers(
        self, by: ServiceClient, numbered: Sequence[tuple[int, bytes]]
    ) -> Iterator[dict[str, Any]]:
        read = [(number, *read_line(text)) for number, text in numbered]
        lines = [line for _, _, line in read if isinstance(line, Line)]
        outcomes = iter(redeem_batch(by=by, lines=lines))
        for number, key, line in read:
            outcome = next(outcomes) if isinstance(line, Line) else line
            yield {"line": number, "idempotency_key": key} | self._shown(outcome)

    def _shown(self, outcome: Outcome | ValidationError) -> dict[str, Any]:
        if isinstance(outcome, RedemptionAnswer):
            redemption_accepted.send_robust(RedemptionBatchView, created=outcome.created)
            status = HTTPStatus.CREATED if outcome.created else HTTPStatus.OK
            return {"http_status": int(status)} | _OUTPUT.to_representation(outcome)
        handle, context = self.get_exception_handler(), self.get_exception_handler_context()
        answer = handle(outcome, context)
        if answer is None:
            raise outcome
        return {"http_status": answer.status_code, **json.loads(answer.content)}


def read_line(text: bytes) -> tuple[str, Line | ProblemError | ValidationError]:
    """Return a line's key, "" where it has none that can be told, and what it asks."""
    try:
        value = APIView.parser_classes[0]().parse(io.BytesIO(text))  # as strict as everywhere
    except ProblemError as error:
        return "", error
    key = value.get("idempotency_key") if isinstance(value, dict) else None
    shown = key if isinstance(key, str) and _KEY.fullmatch(key) else ""
    try:
        return shown, _plain(value) or _checked(value)
    except ValidationError as error:
        return shown, error


def _checked(value: object) -> Line:
    body = BatchLineInput(data=value)
    body.is_valid(raise_exception=True)
    asked = dict(body.validated_data)
    return Line(asked.pop("idempotency_key"), RedemptionRequest(**asked))


def _plain(value: Any) -> Line | None:
    """Read what is plainly right; the serializer, which takes longer, says what else is wrong."""
    if not isinstance(value, dict) or not value.keys() <= _MEMBERS:
        return None
    key, token = value.get("idempotency_key"), value.get("operation_token")
    operation, occurrence = value.get("operation"), value.get("occurrence")
    if not (isinstance(key, str) and isinstance(token, str) and isinstance(operation, dict)):
        return None
    if not (_KEY.fullmatch(key) and _TOKEN.fullmatch(token)):
        return None
    if "occurrence" in value and not _is_occurrence(occurrence):
        return None
    try:
        amount = Amount.parse(value["amount"], "") if "amount" in value else None
    except ProblemError:
        return None
    return Line(key, RedemptionRequest(token, operation, amount, occurrence))


def _is_occurrence(value: object) -> bool:
    return isinstance(value, str) and _OCCURRENCE.fullmatch(value) is not None
