from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CostsConfig(AppConfig):
    name = "costs"
    verbose_name = "Costs"

    def ready(self) -> None:
        from costs import alerts, guards, seeding

        alerts.register()
        post_migrate.connect(guards.install, sender=self)
        post_migrate.connect(seeding.seed, sender=self)
