"""Publications over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.serializers import JobErrorSerializer, JobSerializer
from profiles.api.serializers import StrictModelSerializer, StrictSerializer
from profiles.links import media_link
from publishing.actions import Action, next_step, possible
from publishing.models import Decision, PublicationEvent
from publishing.models.publication import Publication
from publishing.serializers.fields import AwareDateTimeField, text_field
from publishing.states import State


class PublicationSerializer(StrictModelSerializer):
    """One clip on its way to one channel. `may_be_live`: it may be on the network although its state does not say so:
    look there before anything is posted again."""

    status = serializers.ChoiceField(source="state", choices=State.choices, read_only=True)
    status_label = serializers.CharField(source="get_state_display", read_only=True, help_text="For people.")
    clip = serializers.UUIDField(source="clip_id", read_only=True, allow_null=True, help_text="Null: deleted for good.")
    integration = serializers.CharField(source="integration.external_id", read_only=True)
    integration_name = serializers.CharField(source="integration.name", read_only=True)
    network = serializers.CharField(source="integration.identifier", read_only=True)
    is_outbox = serializers.BooleanField(source="integration.is_outbox", read_only=True)
    batch = serializers.UUIDField(source="batch_id", read_only=True, allow_null=True)
    repost_of = serializers.UUIDField(source="repost_of_id", read_only=True, allow_null=True)
    settings = serializers.DictField(read_only=True, help_text="What the network wants to know.")
    release_url = serializers.SerializerMethodField(help_text="The live post; null until it is known.")
    error = JobErrorSerializer(read_only=True, allow_null=True)
    next_step = serializers.SerializerMethodField(help_text="What a person has to do; empty: nothing.")
    actions = serializers.SerializerMethodField(help_text="What can be done with it now.")

    class Meta:
        model = Publication
        fields: tuple[str, ...] = (
            "id",
            "status",
            "status_label",
            "caption",
            "first_comment",
            "settings",
            "clip",
            "clip_name",
            "integration",
            "integration_name",
            "network",
            "is_outbox",
            "is_immediate",
            "scheduled_at",
            "approved_at",
            "published_at",
            "release_url",
            "may_be_live",
            "error",
            "next_step",
            "actions",
            "batch",
            "repost_of",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_release_url(self, row: Publication) -> str | None:
        return row.release_url or None

    def get_next_step(self, row: Publication) -> str:
        return next_step(row)

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(choices=[one.value for one in Action])))
    def get_actions(self, row: Publication) -> list[str]:
        return [action.value for action in possible(row)]


class PublicationEventSerializer(StrictModelSerializer):
    """One line of its history: who, when, why."""

    by = serializers.CharField(source="by.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = PublicationEvent
        fields = ("at", "origin", "by", "from_state", "to_state", "why")
        read_only_fields = fields


class DecisionSerializer(StrictModelSerializer):
    """One word of a reviewer. `reviewer`: the name that was given with a link."""

    by = serializers.CharField(source="by.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = Decision
        fields = ("at", "verdict", "comment", "by", "reviewer")
        read_only_fields = fields


class PublicationLinksSerializer(serializers.Serializer[Any]):
    """Short-lived signed addresses of the clip as it is now; null when there is no file."""

    video = serializers.CharField(allow_null=True)
    poster = serializers.CharField(allow_null=True)


class PublicationDetailSerializer(PublicationSerializer):
    """One publication, with its history (oldest first) and what reviewers said (newest first)."""

    history = PublicationEventSerializer(source="events", many=True, read_only=True)
    decisions = DecisionSerializer(many=True, read_only=True)
    links = serializers.SerializerMethodField()

    class Meta(PublicationSerializer.Meta):
        fields: tuple[str, ...] = (*PublicationSerializer.Meta.fields, "history", "decisions", "links")
        read_only_fields = fields

    @extend_schema_field(PublicationLinksSerializer())
    def get_links(self, row: Publication) -> dict[str, str | None]:
        clip, request = row.clip, self.context["request"]
        if clip is None or clip.trashed_at is not None:
            return {"video": None, "poster": None}
        return {
            "video": media_link(request, "clip-stream", clip.pk, "video", clip.file_id),
            "poster": media_link(request, "clip-stream", clip.pk, "poster", clip.poster_id),
        }


class JobWithPublicationsSerializer(JobSerializer):
    """The job, and the publications that it is about as they stand now."""

    publications = serializers.SerializerMethodField()

    class Meta(JobSerializer.Meta):
        fields: tuple[str, ...] = (*JobSerializer.Meta.fields, "publications")
        read_only_fields = fields

    @extend_schema_field(PublicationSerializer(many=True))
    def get_publications(self, job: Any) -> Any:
        return PublicationSerializer(self.context["publications"], many=True, context=self.context).data


# --- bodies ---------------------------------------------------------------------------------------------


class PublicationChangeSerializer(StrictSerializer):
    """What is left out stays. `settings`: of the publication's own network."""

    caption = text_field(required=False)
    first_comment = text_field(required=False)
    settings = serializers.DictField(required=False)
    scheduled_at = AwareDateTimeField(required=False)


class RescheduleSerializer(StrictSerializer):
    scheduled_at = AwareDateTimeField(help_text="Aware, in the future.")


class RetrySerializer(StrictSerializer):
    """Left out, or null: as soon as possible."""

    schedule_date = AwareDateTimeField(required=False, allow_null=True, default=None)


class ResendSerializer(StrictSerializer):
    """`understood`: true, the word of a person who was told that the first post may still turn up."""

    understood = serializers.BooleanField()
    schedule_date = AwareDateTimeField(required=False, allow_null=True, default=None)
