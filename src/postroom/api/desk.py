"""What the owner decides about what went wrong: drop a message, resend a submission or let it rest."""

from fastapi import APIRouter

from postroom.api import shown, views
from postroom.api.auth import Caller, CallerOf, Parts, not_found
from postroom.api.openapi import gives
from postroom.api.parts import ApiParts
from postroom.api.views import Json
from postroom.core.model import Message
from postroom.core.submission import Submission
from postroom.engine.desk import Hand

router = APIRouter(tags=["desk"])


@router.post("/api/messages/{message_id}/drop", responses=gives(shown.ShownMessage))
async def drop_message(message_id: str, caller: CallerOf, parts: Parts) -> Json:
    """End a message that is held or has failed: it is not answered, with the reason `dropped`."""
    await hand(parts).drop(await message_of(message_id, caller, parts))
    return views.message(await message_of(message_id, caller, parts))


@router.post("/api/submissions/{submission_id}/resend", responses=gives(shown.ShownSubmission))
async def resend_submission(submission_id: str, caller: CallerOf, parts: Parts) -> Json:
    """Send the same bytes under the same Message-ID again: of an `unknown` submission (a recipient may
    then have it twice) or of one that failed because no server took it."""
    await hand(parts).resend(await submission_of(submission_id, caller, parts))
    return views.submission(await submission_of(submission_id, caller, parts))


@router.post("/api/submissions/{submission_id}/close", responses=gives(shown.ShownSubmission))
async def close_submission(submission_id: str, caller: CallerOf, parts: Parts) -> Json:
    """Let an `unknown` or failed submission rest: nothing more is sent, and it is listed as `closed`."""
    await hand(parts).close(await submission_of(submission_id, caller, parts))
    return views.submission(await submission_of(submission_id, caller, parts))


def hand(parts: ApiParts) -> Hand:
    """The owner's hand on these parts."""
    return Hand(parts.store.desk, parts.clock, parts.ring)


async def message_of(message_id: str, caller: Caller, parts: ApiParts) -> Message:
    """A message that this caller reaches. Raises `NotFound`."""
    found = await parts.store.things.message(message_id)
    if found is None or not caller.reaches(found.site_id):
        raise not_found("message")
    return found


async def submission_of(submission_id: str, caller: Caller, parts: ApiParts) -> Submission:
    """A submission that this caller reaches. Raises `NotFound`."""
    found = await parts.store.things.submission(submission_id)
    if found is None or not caller.reaches(found.site_id):
        raise not_found("submission")
    return found
