"""Where Postiz' webhook knocks. Not a view of the API: no login, no body, one answer for all."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from profiles.api import counters
from profiles.api.throttles import client_ip
from publishing.channels.poke import poked

_A_MINUTE = 120  # knocks from one address


@csrf_exempt
def poke(request: HttpRequest, profile_id: UUID, signature: str) -> HttpResponse:
    if counters.admit(f"poke:{client_ip(request)}", 60, _A_MINUTE):
        poked(profile_id, signature)
    return HttpResponse(status=204)
