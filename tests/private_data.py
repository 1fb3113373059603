"""A pytest plugin, loaded before the settings are: each test process works in a data folder of its own."""

import atexit
import os
import shutil
import tempfile
from urllib.parse import urlsplit

FOLDER = tempfile.mkdtemp(prefix="editai-tests-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
os.environ["EDITAI_DATA_DIR"] = FOLDER
os.environ.setdefault("EDITAI_ENCRYPTION_KEYS", "IYm_sRMcLBDLEpn_FA0J4yyGwbcNMW1fRdWPTO_3XkM=")
os.environ.setdefault("EDITAI_SECRET_KEY", "a secret for tests only, long enough to be one 0123456789")
if redis := os.environ.get("REDIS_URL"):  # clearing the cache empties a whole Redis database: one for each process
    number = 1 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 7
    os.environ["REDIS_URL"] = urlsplit(redis)._replace(path=f"/{number}").geturl()
for name in ("EDITAI_USER_RATE", "EDITAI_PROFILE_RATE", "EDITAI_ANONYMOUS_RATE"):
    os.environ.setdefault(name, "1000000/min")
