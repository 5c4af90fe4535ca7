"""Whether a regular expression from the configuration is safe to run on every process."""

import re
import warnings

MAX_REGEX_LENGTH = 256

_UNBOUNDED = re.compile(r"[*+]|\{[0-9]*,\}", re.ASCII)
_MANY = re.compile(r"[*+]|\{[0-9]*,\}|\{(?:[0-9]*,)?[0-9]{2,}\}", re.ASCII)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


def regex_problem(pattern: str) -> str | None:
    """Why a pattern is refused, if it is: empty, too long, not a regular expression, or slow."""
    if not pattern:
        return "must not be empty: an empty pattern matches everything"
    if len(pattern) > MAX_REGEX_LENGTH:
        return f"must be at most {MAX_REGEX_LENGTH} characters, has {len(pattern)}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        text = str(error)
        return f"not a regular expression: {text if text.isprintable() else ascii(text)}"
    if compiled.match(""):
        return "matches an empty text, so it would match everything"
    if _nested_repeat(pattern):
        return "a repeat inside a repeated group may take for ever, expected a simpler expression"
    return None


def _nested_repeat(pattern: str) -> bool:
    """Whether a repeated group holds a repeat: (a+)+ tries 2^n ways before it gives up."""
    groups = [False]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            position += 2
            continue
        if character == "[" and (found := _CLASS.match(pattern, position)):
            position = found.end()
            continue
        position += 1
        if character == "(":
            groups.append(False)
        elif character == ")":
            inner = groups.pop() if len(groups) > 1 else False
            if inner and _MANY.match(pattern, position):
                return True
            groups[-1] |= inner
        elif _UNBOUNDED.match(pattern, position - 1):
            groups[-1] = True
    return False
