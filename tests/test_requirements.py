"""`./run` installs requirements.txt alone: everything must import with nothing else at hand."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BARE = """
import importlib, importlib.abc, importlib.metadata, pathlib, sys

allowed = set(sys.argv[1].split())
normal = lambda name: name.lower().replace("_", "-").replace(".", "-")
owners = importlib.metadata.packages_distributions()
foreign = {name for name, dists in owners.items() if not {normal(dist) for dist in dists} & allowed}

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in foreign:
            raise ModuleNotFoundError(f"No module named {name!r} in requirements.txt", name=name)

sys.meta_path.insert(0, Refuse())
import django
django.setup()
root = pathlib.Path.cwd()
for folder in ("editai", "profiles", "jobs", "segments", "publishing", "scripts"):
    for path in sorted((root / folder).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if not {"tests", "migrations"} & set(parts) and parts[-1] not in {"sandbox", "probe_child"}:
            importlib.import_module(".".join(parts).removesuffix(".__init__"))
for name in ("kombu.transport.redis", "kombu.transport.filesystem", "celery.bin.worker", "celery.apps.beat",
             "celery.concurrency.prefork", "gunicorn.app.wsgiapp", "gunicorn.workers.gthread", "storages.backends.s3"):
    importlib.import_module(name)
"""


def test_what_is_installed_for_running_is_enough() -> None:
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", (ROOT / "requirements.txt").read_text(), re.M)
    allowed = " ".join(pin.lower().replace("_", "-").replace(".", "-") for pin in pins)
    done = subprocess.run([sys.executable, "-c", BARE, allowed], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
