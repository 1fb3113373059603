from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PublishingConfig(AppConfig):
    name = "publishing"
    verbose_name = "Publishing"

    def ready(self) -> None:
        from profiles.credentials import register_kind
        from profiles.erasure import register_before_erasing
        from publishing import (  # they need the models
            approval,
            clip_user,
            integrations,
            network_facts,
            news,
            state_guard,
            take_back,
        )
        from publishing.connections import POSTIZ

        register_kind(POSTIZ)
        approval.register()
        clip_user.register()
        integrations.register()
        news.register()
        register_before_erasing("posts at Postiz", take_back.before_erasing)
        post_migrate.connect(state_guard.install, sender=self)
        post_migrate.connect(network_facts.seed, sender=self)
