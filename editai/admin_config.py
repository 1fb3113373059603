from django.contrib.admin.apps import AdminConfig


class EditAIAdminConfig(AdminConfig):
    default_site = "profiles.admin_base.ScopedAdminSite"
