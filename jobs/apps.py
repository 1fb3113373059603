from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        # Every app's `tasks` module registers its kinds of job, in web processes as well as in workers.
        autodiscover_modules("tasks")
