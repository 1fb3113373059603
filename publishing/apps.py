from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PublishingConfig(AppConfig):
    name = "publishing"
    verbose_name = "Publishing"

    def ready(self) -> None:
        from profiles.credentials import register_kind
        from publishing import approval, network_facts, state_guard  # they need the models
        from publishing.connections import POSTIZ

        register_kind(POSTIZ)
        approval.register()
        post_migrate.connect(state_guard.install, sender=self)
        post_migrate.connect(network_facts.seed, sender=self)
