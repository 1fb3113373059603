"""What a job looks like from outside. Tracebacks, workers and parameters stay inside."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs import registry
from jobs.models import Job, JobEvent
from profiles import links
from profiles.api.serializers import StrictModelSerializer, StrictSerializer
from profiles.models import StoredFile


class JobErrorSerializer(StrictSerializer):
    """Why a job failed, for a person: what happened, whether trying again may help, and what to do."""

    code = serializers.CharField()
    message = serializers.CharField()
    retryable = serializers.BooleanField()
    next_step = serializers.CharField(allow_blank=True)


class JobEventSerializer(StrictModelSerializer):
    class Meta:
        model = JobEvent
        fields = ("at", "event", "attempt", "error")
        read_only_fields = fields

    error = serializers.SerializerMethodField(help_text="What that attempt failed of.")

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, event: JobEvent) -> dict[str, Any] | None:
        error: dict[str, Any] | None = event.detail.get("error")
        return error


class JobSerializer(StrictModelSerializer):
    """A piece of work. `download` is a short-lived link to its file, when it made one."""

    title = serializers.SerializerMethodField(help_text="The kind, for people.")
    error = JobErrorSerializer(read_only=True, allow_null=True)
    result = serializers.DictField(read_only=True, allow_null=True, help_text="What it made; depends on the kind.")
    progress = serializers.IntegerField(read_only=True, min_value=0, max_value=100, help_text="Percent.")
    download = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields: tuple[str, ...] = (
            "id",
            "kind",
            "title",
            "status",
            "progress",
            "step",
            "eta_seconds",
            "error",
            "result",
            "subject",
            "download",
            "attempt",
            "cancel_requested_at",
            "run_at",
            "created_at",
            "started_at",
            "finished_at",
        )
        read_only_fields = fields

    def get_title(self, job: Job) -> str:
        kind = registry.kind_named(job.kind)
        return kind.label if kind else job.kind

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_download(self, job: Job) -> str | None:
        request = self.context.get("request")
        if request is None or job.output is None or job.output.state != StoredFile.State.STORED:
            return None
        return links.media_link(request, "job-download", job.pk, "output", job.output.pk, attachment=True)


class JobDetailSerializer(JobSerializer):
    """One job, with what happened to it so far."""

    events = JobEventSerializer(many=True, read_only=True)

    class Meta(JobSerializer.Meta):
        fields: tuple[str, ...] = (*JobSerializer.Meta.fields, "events")
        read_only_fields = fields
