"""The names that users look for, where the docs say that they are."""

import importlib

import pytest

PACKAGES = ("xsp_server.state", "xsp_server.vast", "xsp_server.upstream")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_all_that_it_says_it_has_and_nothing_else(package):
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        module.Nonsense  # noqa: B018 - reading it is the test
