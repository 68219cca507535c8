"""The one error for faults a user can mend, and the words for it."""


class InputError(ValueError):
    """Something the user gave is wrong: text, file, option or configuration.

    The message is one line that says what is wrong, where, and how to mend it. The command line prints it and exits
    with status 2; any other exception is a fault of this program and keeps its traceback.
    """


def nearest(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """`" (did you mean 'x'?)"` for the closest of `known` to a misspelt `name`, else `" (known: a, b, c)"`."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else f" (known: {', '.join(sorted(known))})"


def reason(error: Exception) -> str:
    """The reason of an error alone, for a message that names the file already, as Python's own text does, too."""
    return getattr(error, "strerror", None) or str(error)
