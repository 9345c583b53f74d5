"""NOTICE, the settings page and the locks say what is true."""

import json
import re
from pathlib import Path

from schemas.settings import Settings
from stack import licences, settings_page

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def test_notice_names_every_dependency_with_a_licence() -> None:
    found = licences.dependencies()
    text = licences.NOTICE.read_text(encoding="utf-8")
    missing = [d for d in found if f"{d.name} {d.version}: " not in text]
    assert missing == [], "run `make notice`"
    assert [d for d in found if d.licence == "unknown"] == []


def test_no_dependency_has_a_licence_that_segue_refuses() -> None:
    assert [d for d in licences.dependencies() if licences.REFUSED.search(d.licence)] == []
    assert licences.REFUSED.search("GPL-3.0-only")
    assert licences.REFUSED.search("GNU General Public License v2 (GPLv2)")
    assert licences.REFUSED.search("GPL-3.0-or-later")
    assert licences.REFUSED.search("GPL-2.0-only and GPL-3.0-or-later WITH GCC-exception-3.1")
    assert not licences.REFUSED.search("GPL-3.0-or-later WITH GCC-exception-3.1")
    assert not licences.REFUSED.search("LGPL-2.1-or-later")


def test_the_settings_page_is_up_to_date() -> None:
    assert settings_page.PAGE.read_text(encoding="utf-8") == settings_page.render(), (
        "run `make settings-page`"
    )


def test_every_setting_has_a_meaning_and_a_unit_in_its_name_or_none() -> None:
    for name, info in Settings.model_fields.items():
        assert info.description, name
        if "seconds" in info.description:
            assert name.endswith("_s"), name


def test_every_pinned_package_has_a_hash_and_no_lock_names_an_address() -> None:
    assert len(LOCKS) == 5
    for lock in LOCKS:
        text = lock.read_text(encoding="utf-8")
        pins = re.findall(r"^[A-Za-z0-9_.-]+==", text, re.MULTILINE)
        assert pins
        assert "://" not in text, lock.name
        entries = re.split(r"\n(?=\S)", text.strip())
        assert all("--hash=sha256:" in entry for entry in entries), lock.name
    npm = json.loads((ROOT / "frontend" / "package-lock.json").read_text(encoding="utf-8"))
    assert [path for path, package in npm["packages"].items() if "resolved" in package] == []


def test_the_locks_agree_with_each_other() -> None:
    runtime = set(re.findall(r"^([A-Za-z0-9_.-]+==[^ ;\\]+)", LOCKS[-1].read_text(), re.MULTILINE))
    names = {pin.partition("==")[0] for pin in runtime}
    assert LOCKS[-1].name == "requirements.lock"
    for lock in LOCKS[:-1]:
        pins = set(re.findall(r"^([A-Za-z0-9_.-]+==[^ ;\\]+)", lock.read_text(), re.MULTILINE))
        assert {pin for pin in pins if pin.partition("==")[0] in names} <= runtime, lock.name
