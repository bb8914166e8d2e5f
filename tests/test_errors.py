"""One tree of errors: each has one gRPC status and one reason, and `xsp_server.errors` draws it."""

import importlib
import pkgutil
import re

import grpc
import pytest

import xsp_server
from xsp.rpc.v1.error_reason_pb2 import ErrorReason
from xsp_server import errors

for module in pkgutil.walk_packages(xsp_server.__path__, "xsp_server."):
    importlib.import_module(module.name)


def below(cls):
    for branch in cls.__subclasses__():
        if branch.__module__.startswith("xsp_server"):
            yield branch
            yield from below(branch)


ERRORS = sorted(set(below(errors.XspError)), key=lambda cls: cls.__name__)
DRAWN = {
    name: depth
    for lines in [(errors.__doc__ or "").splitlines()]
    for line in lines
    if (match := re.match(r"    ((?:[│├└─ ]{4})*)(\w+)", line))
    for depth, name in [(len(match[1]) // 4, match[2])]
}
"""Depth in the drawing, by name."""


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_every_error_has_a_status_and_a_reason_of_the_contract(cls):
    assert cls.status in grpc.StatusCode.__members__
    assert f"ERROR_REASON_{cls.reason}" in ErrorReason.keys()  # noqa: SIM118 - an enum, no dict


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_the_drawing_has_every_error_at_its_depth(cls):
    depth = len([base for base in cls.__mro__ if issubclass(base, errors.XspError)]) - 1
    assert DRAWN.get(cls.__name__) == depth


def test_the_drawing_has_no_error_that_is_gone():
    assert set(DRAWN) == {"XspError", *(cls.__name__ for cls in ERRORS)}


def test_no_two_errors_share_a_name():
    names = [cls.__name__ for cls in ERRORS]
    assert sorted(set(names)) == names
