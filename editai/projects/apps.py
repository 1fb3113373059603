from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "editai.projects"
    verbose_name = "Projects"

    def ready(self) -> None:
        from editai.projects import dependants, trash  # they need the models

        trash.register()
        dependants.register()
