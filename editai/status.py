"""`gemini/status/`: whether the service has a key. Public, so it asks nobody and spends nothing."""

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from profiles.api.serializers import StrictSerializer


class GeminiStatusSerializer(StrictSerializer):
    configured = serializers.BooleanField(help_text="Whether this server has a key for Gemini of its own.")


class GeminiStatusView(APIView):
    """Whether Gemini is configured on this server. No call to Gemini is made."""

    public = True
    profile_required = False
    authentication_classes = ()

    @extend_schema(responses=GeminiStatusSerializer)
    def get(self, request: Request) -> Response:
        return Response({"configured": bool(settings.GEMINI_API_KEY)})
