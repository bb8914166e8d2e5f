"""Certificates for tests of TLS, made by openssl: an authority, and what it signs."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as PEM files."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """Signs certificates for names."""

    folder: Path
    pair: Pair

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not on PATH: no certificate can be made")
        pair = Pair(folder / "ca.pem", folder / "ca.key")
        # Python verifies strictly from 3.13 on (RFC 5280): an authority says that it may sign.
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        _openssl("req", "-x509", *_KEY, "-subj", "/CN=tests", *usage, *_out(pair))
        return cls(folder, pair)

    def sign(self, name: str) -> Pair:
        """A certificate for a DNS name."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        _openssl(
            *("req", "-x509", *_KEY, "-subj", f"/CN={name}"),
            *("-CA", str(self.pair.cert), "-CAkey", str(self.pair.key)),
            *("-addext", f"subjectAltName=DNS:{name}"),
            *("-addext", "basicConstraints=critical,CA:FALSE", *_out(pair)),
        )
        return pair


def _out(pair: Pair) -> tuple[str, ...]:
    return ("-keyout", str(pair.key), "-out", str(pair.cert))


def _openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)
