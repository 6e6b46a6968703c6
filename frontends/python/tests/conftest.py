"""Devices that the tests run on: the CPU, and the first adapter if there is one (`GIRIH_REQUIRE_WGPU=1`: there must be)."""

import os

import pytest

import girih


def _devices():
    names = [str(d) for d in girih.devices()]
    if os.environ.get("GIRIH_REQUIRE_WGPU") == "1" and "wgpu:0" not in names:
        raise pytest.UsageError("GIRIH_REQUIRE_WGPU=1, and no adapter was found")
    return [name for name in ("cpu", "wgpu:0") if name in names]


DEVICES = _devices()


@pytest.fixture(params=DEVICES)
def device(request):
    """Each device in turn, as the current one."""
    with girih.device(request.param) as name:
        yield name
