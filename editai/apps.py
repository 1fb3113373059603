from django.apps import AppConfig


class EditAIConfig(AppConfig):
    name = "editai"
    verbose_name = "EditAI"

    def ready(self) -> None:
        import editai.celery  # noqa: F401 - makes its application the default one of this process
