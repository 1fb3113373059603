"""The public page of a review link; outside the API, and outside every brand's prefix."""

from django.urls import path

from publishing.views import review_page

urlpatterns = [
    path("<uuid:profile_id>/<str:secret>/", review_page.page, name="review-page"),
    path("<uuid:profile_id>/<str:secret>/video/", review_page.clip_media, {"variant": "video"}, name="review-video"),
    path("<uuid:profile_id>/<str:secret>/poster/", review_page.clip_media, {"variant": "poster"}, name="review-poster"),
    path(
        "<uuid:profile_id>/<str:secret>/<uuid:publication_id>/video/",
        review_page.publication_media,
        {"variant": "video"},
        name="review-publication-video",
    ),
    path(
        "<uuid:profile_id>/<str:secret>/<uuid:publication_id>/cover/",
        review_page.publication_media,
        {"variant": "cover"},
        name="review-publication-cover",
    ),
]
