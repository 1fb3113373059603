from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ClipsConfig(AppConfig):
    name = "editai.clips"
    verbose_name = "Clips"

    def ready(self) -> None:
        from editai.clips import dependants, preset_facts, presets, services, storage_kinds, trash  # need the models
        from editai.projects.selectors import register_limits
        from editai.projects.services import on_project_changed

        trash.register()
        storage_kinds.register()
        dependants.register()
        on_project_changed(services.project_changed)
        register_limits(presets.exceeded_limits)
        post_migrate.connect(preset_facts.seed, sender=self)
