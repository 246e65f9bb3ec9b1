"""`operations resume`: lift staff's and the trigger's holds; the person's own stays."""

from datetime import datetime

from batchtokens.management.operations.change import ChangeVerb
from batchtokens.models import HoldKind, OperationToken
from batchtokens.services.hold import check_changeable, liftable, resume_operation


def check_resumable(token: OperationToken, at: datetime) -> None:
    """Raise where resuming would be refused."""
    check_changeable(token, at)
    liftable(token, HoldKind.STAFF)


class ResumeOperation(ChangeVerb):
    """What staff may lift."""

    name = "resume"
    help = "Lift holds of staff and of the trigger; the person's own hold stays."
    done = "resumed"
    service = resume_operation
    check = check_resumable
