from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CostsConfig(AppConfig):
    name = "costs"
    verbose_name = "Costs"

    def ready(self) -> None:
        from costs import compute, guards, settings_services
        from costs.books import alerts
        from costs.prices import seeding
        from costs.storage import quota
        from jobs import registry

        alerts.register()
        quota.register()
        registry.register_cpu_hook(compute.count_cpu)
        registry.register_budget_check(settings_services.would_block)
        post_migrate.connect(guards.install, sender=self)
        post_migrate.connect(seeding.seed, sender=self)
