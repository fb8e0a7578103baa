"""How a part can end other than with a result."""


class Skipped(Exception):
    """A part that cannot be measured here, with the reason."""


class Failed(Exception):
    """A part that failed, with the reason."""


NO_GPU = Skipped("no GPU")


def has_error(value):
    """Whether there is an `error` anywhere in a result."""
    if isinstance(value, dict):
        return "error" in value or any(map(has_error, value.values()))
    return isinstance(value, list) and any(map(has_error, value))


def tail(text):
    return text.strip()[-1500:]
