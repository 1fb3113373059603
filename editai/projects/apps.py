from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "editai.projects"
    verbose_name = "Projects"

    def ready(self) -> None:
        from costs.names import register_names
        from editai.projects import dependants, selectors, trash  # they need the models

        register_names("project", selectors.names_of)
        trash.register()
        dependants.register()
