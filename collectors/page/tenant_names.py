"""What a tenant may be called in a label: a name, and never a key or what was made of one."""

import re
from collections.abc import Mapping

from unitcost.pricing.workload import clean_name

_SECRETS = re.compile(
    r"(sk|pk|rk|ghp|gho|hf|nvapi|glpat|xox[abpr])[-_].{8,}"  # prefixes that vendors of keys use
    r"|AIza[\w-]{30,}"
    r"|A[KS]IA[0-9A-Z]{16}"
    r"|(bearer|basic) .+"
    r"|eyJ[\w-]+\.[\w-]*(\.[\w-]*)*"  # a JSON web token
    r"|(sha\d+:)?[0-9a-f]{32,}"  # a hash
    r"|[A-Za-z0-9+/_-]{40,}={0,2}",  # base64 of something long
    re.ASCII | re.IGNORECASE,
)

_NOBODY = "None"


def tenant_name(value: str, names: Mapping[str, str]) -> str | None:
    """The tenant's name; None for a value that looks like a key or a hash and was given no name.

    A UUID is a name: it opens nothing. `names`: what some values are called. Empty where it is
    nobody's, which LiteLLM, being Python, writes as ``None``.
    """
    given = names.get(value)
    if given is not None:
        return clean_name(given)
    if value == _NOBODY:
        return ""
    if _SECRETS.fullmatch(value.strip()):
        return None
    return clean_name(value)
