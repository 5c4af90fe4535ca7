"""What the names of pods tell without an API server: their controllers, and on disk their UIDs."""

import os
import re

MAX_FOLDERS = 8_192

# The characters Kubernetes makes random names of, and the numbers CronJobs put into theirs.
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_GENERATED = re.compile(rf"(.+?)(?:-{_RANDOM}{{6,10}}|-[0-9]{{8,}})?-{_RANDOM}{{5}}")
_FOLDER = re.compile(r"([a-z0-9.-]{1,63})_([a-z0-9.-]{1,253})_([0-9a-f-]{32,36})")


def stem(pod: str) -> str:
    """The name of a pod's controller, as far as the pod's own tells; else the pod's own.

    Takes off what Deployments (``-6d4b75cb6d-x7k2p``), CronJobs (``-28374650-x7k2p``) and others
    (``-x7k2p``) put behind their names.
    """
    match = _GENERATED.fullmatch(pod)
    return match[1] if match else pod


def logged_pods(folder: str) -> dict[tuple[str, str], str]:
    """The newest UID of each pod (namespace and name) that has logs on this host.

    Empty where the folder is not there or may not be read.
    """
    newest: dict[tuple[str, str], tuple[float, str]] = {}
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(MAX_FOLDERS), entries, strict=False):
                if match := _FOLDER.fullmatch(entry.name):
                    pod = match[1], match[2]
                    found = entry.stat(follow_symlinks=False).st_ctime, match[3]
                    newest[pod] = max(found, newest.get(pod, found))
    except OSError:
        return {}
    return {pod: uid for pod, (_, uid) in newest.items()}
