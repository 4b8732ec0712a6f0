from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.servers.ports import HOST


@dataclass(frozen=True)
class Certificates:
    """PEM files: an authority, a server's certificate and key, and a client's, both signed by the authority."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


def issue(folder: Path, *hosts: str) -> Certificates:
    """Write a new authority's files to `folder`; the server is localhost and 127.0.0.1 unless `hosts` says else."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Certificates(*(folder / f"{name}.pem" for name in ("ca", "server", "server-key", "client", "client-key")))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(files.ca))
    _write(authority.issue_cert(*(hosts or ("localhost", HOST))), files.cert, files.key)
    _write(authority.issue_cert(common_name="gateway"), files.client_cert, files.client_key)
    return files


def _write(issued: trustme.LeafCert, cert: Path, key: Path) -> None:
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(cert), append=True)
    issued.private_key_pem.write_to_path(str(key))
