"""Checks of arguments: whole numbers and texts that every store can take as they are."""

from xsp_server.errors import InvalidRequest, Violation


def check_int(name: str, number: int, least: int, greatest: int) -> None:
    """Raises InvalidRequest unless it is an int, not a bool or float, of the range."""
    if type(number) is not int or not least <= number <= greatest:
        expected = f"a whole number from {least} to {greatest}"
        raise InvalidRequest(Violation(name, f"got {number!r}; expected {expected}"))


def check_text(name: str, text: str, least: int, greatest: int) -> None:
    """Raises InvalidRequest unless it has so many bytes in UTF-8, and no NUL."""
    if type(text) is str and text.isascii() and least <= len(text) <= greatest and "\0" not in text:
        return  # nearly all
    if type(text) is not str or "\0" in text or not least <= _bytes_of(text) <= greatest:
        expected = f"text of {least} to {greatest} bytes in UTF-8, without NUL"
        raise InvalidRequest(Violation(name, f"got {text!r:.200}; expected {expected}"))


def _bytes_of(text: str) -> int:
    """Length in UTF-8; -1 for text that has none, such as half of a surrogate pair."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return -1
