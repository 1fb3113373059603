"""What is to be published, over HTTP; and the plan that a dry run answers with."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from profiles.api.serializers import StrictSerializer
from publishing.models.publication import Publication
from publishing.planning.plan import MAX_INTERVAL, Plan, Planned
from publishing.planning.wishes import MAX_CLIPS, MAX_INTEGRATIONS
from publishing.serializers.fields import MAX_NETWORKS, AwareDateTimeField, ByNetworkField, NetworkField, text_field


class ByNetworkTextField(ByNetworkField):
    child = text_field()


class ByNetworkSettingsField(ByNetworkField):
    child = serializers.DictField()


class _WordsSerializer(StrictSerializer):
    """`caption` and `first_comment` are sent as they are typed, unless `fill_in` says that their placeholders are to
    be filled in, as those of a caption set always are. Without any words: the profile's default set."""

    caption = text_field(required=False)
    captions = ByNetworkTextField(required=False, help_text="By network, instead of `caption`.")
    caption_set_id = serializers.UUIDField(required=False)
    use_last = serializers.BooleanField(default=False, help_text="The words that each network was published to last.")
    first_comment = text_field(required=False)
    fill_in = serializers.BooleanField(default=False)
    settings = ByNetworkSettingsField(
        required=False, help_text="By network: what it wants to know; the profile's defaults for what is left out."
    )


def _channels(**options: Any) -> serializers.ListField:
    child = serializers.CharField(max_length=100)
    help_text = "As listed by integrations/, at least one."
    return serializers.ListField(child=child, max_length=MAX_INTEGRATIONS, help_text=help_text, **options)


class UploadSerializer(StrictSerializer):
    clip_id = serializers.UUIDField()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "As soon as possible, to two channels",
            value={
                "clip_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                "caption": "Fresh from the oven",
                "integration_ids": ["cmchan1", "cmchan2"],
            },
            request_only=True,
        )
    ]
)
class PublishSerializer(_WordsSerializer):
    """`schedule_date`: aware, in the future; left out or null: as soon as possible. `repost`: although it was published
    there before. `draft`: only written down."""

    clip_id = serializers.UUIDField()
    integration_ids = _channels()
    schedule_date = AwareDateTimeField(required=False, allow_null=True)
    repost = serializers.BooleanField(default=False)
    draft = serializers.BooleanField(default=False)


class BulkPublishSerializer(_WordsSerializer):
    """The first clip goes out at `schedule_date` (left out or null: as soon as possible), the others each
    `schedule_interval_minutes` later; whole days keep the time on the profile's clock. `use_slots`: each channel at its
    own free slots from `schedule_date` on instead. `dry_run`: only the plan, nothing is written."""

    clip_ids = serializers.ListField(child=serializers.UUIDField(), max_length=MAX_CLIPS)
    integration_ids = _channels()
    schedule_date = AwareDateTimeField(required=False, allow_null=True)
    schedule_interval_minutes = serializers.IntegerField(
        min_value=0, max_value=MAX_INTERVAL, required=False, allow_null=True
    )
    use_slots = serializers.BooleanField(default=False)
    repost = serializers.BooleanField(default=False)
    draft = serializers.BooleanField(default=False)
    dry_run = serializers.BooleanField(default=False)


class PreflightSerializer(_WordsSerializer):
    clip_id = serializers.UUIDField()
    integration_ids = _channels()


class FixSerializer(StrictSerializer):
    """Either `networks` or `integration_ids`."""

    clip_id = serializers.UUIDField()
    networks = serializers.ListField(child=NetworkField(), max_length=MAX_NETWORKS, required=False)
    integration_ids = _channels(required=False)


# --- answers --------------------------------------------------------------------------------------------


class FindingSerializer(serializers.Serializer[Any]):
    """One rule of a network, and whether this post keeps it. `checked_on` and `certainty`: of the rule itself."""

    network = serializers.CharField()
    rule = serializers.CharField()
    level = serializers.ChoiceField(choices=["pass", "warn", "fail"])
    message = serializers.CharField()
    value = serializers.JSONField(allow_null=True, help_text="What was found.")
    limit = serializers.JSONField(allow_null=True)
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    checked_on = serializers.DateField(allow_null=True)
    certainty = serializers.CharField(allow_null=True)
    field = serializers.CharField(allow_null=True, help_text="The input field to change.")
    can_fix = serializers.BooleanField(help_text="fix/ can make a rendition that keeps it.")


class ClashOtherSerializer(serializers.Serializer[Any]):
    """The publication that is in the way."""

    id = serializers.UUIDField()
    status = serializers.CharField(source="state")
    scheduled_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True)
    release_url = serializers.SerializerMethodField(help_text="The live post; null until it is known.")

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_release_url(self, row: Publication) -> str | None:
        return row.release_url or None


class ClashSerializer(serializers.Serializer[Any]):
    """`code`: clip_not_ready, clip_stale, already_open, already_published, crowded. `is_refusal`: it would not be
    carried out like this."""

    code = serializers.CharField()
    message = serializers.CharField()
    is_refusal = serializers.BooleanField()
    other = ClashOtherSerializer(allow_null=True)


class PlannedSerializer(serializers.Serializer[Any]):
    """One post of the plan."""

    clip = serializers.UUIDField(source="clip.pk")
    clip_name = serializers.CharField(source="clip.name")
    integration = serializers.CharField(source="integration.external_id")
    integration_name = serializers.CharField(source="integration.name")
    network = serializers.CharField(source="integration.identifier")
    scheduled_at = serializers.DateTimeField()
    local_time = serializers.SerializerMethodField(help_text="On the profile's clock.")
    is_immediate = serializers.BooleanField()
    caption = serializers.CharField()
    first_comment = serializers.CharField()
    settings = serializers.DictField()
    level = serializers.ChoiceField(choices=["pass", "warn", "fail"], help_text="The worst of its findings.")
    findings = serializers.SerializerMethodField(help_text="Those that are not passed.")
    conflicts = ClashSerializer(source="clashes", many=True)

    @extend_schema_field(serializers.CharField())
    def get_local_time(self, row: Planned) -> str:
        return str(row.scheduled_at.astimezone(self.context["zone"]).isoformat(timespec="seconds"))

    @extend_schema_field(FindingSerializer(many=True))
    def get_findings(self, row: Planned) -> Any:
        return [finding.as_dict() for finding in row.findings if finding.level != "pass"]


class DayLimitSerializer(serializers.Serializer[Any]):
    """More posts of a channel on one day (UTC) than its network is known to take."""

    integration = serializers.CharField(source="integration.external_id")
    network = serializers.CharField(source="integration.identifier")
    day = serializers.DateField()
    posts = serializers.IntegerField()
    limit = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    checked_on = serializers.DateField()
    certainty = serializers.CharField()


class QuotaSerializer(serializers.Serializer[Any]):
    """`rate_*`: posts an hour that Postiz takes, null without it. `hours`: how long that makes the busiest hour's posts
    wait at the least; they wait, none fails of it."""

    posts = serializers.IntegerField()
    rate_limit = serializers.IntegerField(allow_null=True)
    rate_remaining = serializers.IntegerField(allow_null=True)
    rate_resets_at = serializers.DateTimeField(allow_null=True)
    hours = serializers.IntegerField()
    days = DayLimitSerializer(many=True)


class PlanSerializer(serializers.Serializer[Any]):
    """What would be published. `can_commit`: the same request without `dry_run` would be carried out now."""

    can_commit = serializers.SerializerMethodField()
    time_zone = serializers.CharField(source="preferences.time_zone")
    quota = QuotaSerializer()
    rows = PlannedSerializer(many=True)

    def get_can_commit(self, plan: Plan) -> bool:
        return not any(row.is_refused for row in plan.rows)


class PreflightRowSerializer(serializers.Serializer[Any]):
    """All rules of one channel, those that are kept too, for this post."""

    integration = serializers.CharField(source="integration.external_id")
    integration_name = serializers.CharField(source="integration.name")
    network = serializers.CharField(source="integration.identifier")
    level = serializers.ChoiceField(choices=["pass", "warn", "fail"])
    can_fix = serializers.SerializerMethodField(help_text="fix/ would mend at least one of the broken rules.")
    findings = serializers.SerializerMethodField()

    def get_can_fix(self, row: Planned) -> bool:
        return any(finding.can_fix for finding in row.failed)

    @extend_schema_field(FindingSerializer(many=True))
    def get_findings(self, row: Planned) -> Any:
        return [finding.as_dict() for finding in row.findings]


class PreflightAnswerSerializer(serializers.Serializer[Any]):
    results = PreflightRowSerializer(many=True)
