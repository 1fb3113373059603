from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PublishingConfig(AppConfig):
    name = "publishing"
    verbose_name = "Publishing"

    def ready(self) -> None:
        from profiles.credentials import register_kind
        from profiles.erasure import register_before_erasing
        from profiles.time_zones import register_time_zone
        from publishing import clip_user, news, state_guard, storage_kinds
        from publishing.channels import integrations
        from publishing.channels.connections import POSTIZ
        from publishing.planning.schedule import zone_of
        from publishing.preferences import preferences_of
        from publishing.review import approval
        from publishing.rules import facts as network_facts
        from publishing.tracking import take_back

        register_kind(POSTIZ)
        approval.register()
        clip_user.register()
        storage_kinds.register()
        integrations.register()
        news.register()
        register_time_zone(lambda profile: zone_of(preferences_of(profile)))
        register_before_erasing("posts at Postiz", take_back.before_erasing)
        post_migrate.connect(state_guard.install, sender=self)
        post_migrate.connect(network_facts.seed, sender=self)
