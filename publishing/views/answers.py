"""What several views of publishing answer with."""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.models import Job
from jobs.selectors import jobs_of
from jobs.serializers import JobSerializer
from profiles.api.errors import CHECK_FIELDS
from profiles.api.filters import did_you_mean
from profiles.api.viewsets import ProfileViewSet
from profiles.errors import Invalid
from profiles.models import Ceiling
from publishing.models import Publication
from publishing.selectors import in_order, publication_named
from publishing.serializers.publications import JobWithPublicationsSerializer, PublicationSerializer

SENDS = Ceiling.PUBLISH  # what a token must allow at least, for all that sends, moves or calls off


class PublishingViewSet(ProfileViewSet):
    """The base of the views here."""

    serializer_class = PublicationSerializer

    def accepted(self, job: Job) -> Response:
        """202 with the job."""
        shown = jobs_of(self.profile).get(pk=job.pk)
        data = JobSerializer(shown, context=self.get_serializer_context()).data
        return Response(data, status=status.HTTP_202_ACCEPTED)

    def accepted_with(self, job: Job, rows: Sequence[Publication] | None = None) -> Response:
        """202 with the job and the publications that it is about, as they are now."""
        if rows is None:
            rows = in_order(self.profile, self._ids_of(job.params))
        shown = jobs_of(self.profile).get(pk=job.pk)
        context = {**self.get_serializer_context(), "publications": rows}
        return Response(JobWithPublicationsSerializer(shown, context=context).data, status=status.HTTP_202_ACCEPTED)

    def _ids_of(self, params: Mapping[str, Any]) -> list[str]:
        return list(params["publication_ids"])

    def now_or_later(self, publication: Publication, job: Job | None) -> Response:
        """200 with the publication when it was done at once; else 202 with the job and the publication."""
        row = publication_named(self.profile, publication.pk)
        if job is not None:
            return self.accepted_with(job, [row])
        return Response(PublicationSerializer(row, context=self.get_serializer_context()).data)


def refuse_unknown(request: Request, known: tuple[str, ...] = ()) -> None:
    """For what is read without filters of its own. Raises Invalid, naming each parameter that is not known."""
    fields = {
        name[:100]: [did_you_mean(name[:100], known, prefix="Unknown filter")]
        for name in request.query_params
        if name not in {*known, "format"}
    }
    if fields:
        raise Invalid(CHECK_FIELDS, fields=fields)
