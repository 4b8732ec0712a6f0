import pytest

from gateway.config.access import UserSection
from gateway.security.passwords import hash_password, verify


@pytest.mark.parametrize("kind", ["argon2id", "scrypt"])
def test_only_the_password_is_the_password(kind: str) -> None:
    hashed = hash_password("pässword 1", kind=kind)
    assert hashed.startswith(f"${kind}$")
    assert UserSection.model_validate({"name": "a", "role": "viewer", "password": hashed}).password is not None
    assert hashed != hash_password("pässword 1", kind=kind)
    assert verify(hashed, "pässword 1")
    assert not any(verify(hashed, wrong) for wrong in ("", "pässword", "Pässword 1", "x" * 100_000))
