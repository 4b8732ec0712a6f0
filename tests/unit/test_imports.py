import subprocess
import sys

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import {package}
for module in pkgutil.walk_packages({package}.__path__, "{package}."):
    if not module.name.endswith("__main__") and not module.name.startswith("gateway.waveform."):
        importlib.import_module(module.name)
print("numpy" in sys.modules)
"""


def imports_numpy(package: str) -> bool:
    command = [sys.executable, "-c", IMPORT_EVERYTHING.format(package=package)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip() == "True"


def test_the_gateway_imports_numpy_for_waveforms_only_though_it_is_there() -> None:
    assert imports_numpy("simulator")
    assert not imports_numpy("gateway")


def test_what_only_some_configurations_need_is_not_imported_for_all() -> None:
    only_where_needed = {"PIL", "aiosmtplib", "fastapi", "httpx", "influxdb_client", "opentelemetry"}
    code = f"import sys, gateway.app.run; print(*({only_where_needed} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""
