"""The command import: its report, its exit status, and what it leaves in the tables."""

from __future__ import annotations

import io
from pathlib import Path

import boto3
import pytest

from chalicelib.domain.catalogue import fill
from chalicelib.domain.errors import Unavailable
from chalicelib.store.models import AuditItem, FirmItem
from infra.ops import change_words, words
from infra.ops.enrolment.firms import Directory
from tests.conftest import PHONE, World
from tests.support import xlsx_cases
from tests.support.ops_runner import FIRM, HEADER, NEW_PHONE, REASON, Run

PLACE = "执行位置：AWS账号123456789012，区域cn-north-1，表前缀recovery"
DJANGO = "pbkdf2_sha256$1000$0123456789abcdefSALTxy$knhC/VnS0PlHpxHJoB9YFHyfLI2sUcu7J5fKgDF7HuQ="
SPRING = "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"

pytestmark = pytest.mark.usefixtures("serial_moto")


def test_an_import_reports_its_result(run_ops: Run, world: World, firms_file: Path) -> None:
    """Rows loaded, duration and hashing rate; a second import changes nothing."""
    ran = run_ops("import", str(firms_file), *REASON)
    assert ran.status == 0
    assert "导入 1 家，无变化 0 家，拒绝 0 行；用时" in ran.out
    assert "计算密码 2 个" in ran.out
    again = run_ops("import", str(firms_file), *REASON, "--json")
    assert again.status == 0
    assert {**again.json, "seconds": 0} == {
        "loaded": 0,
        "unchanged": 1,
        "refused": [],
        "notes": [],
        "schemes": {},
        "hashes": 0,
        "seconds": 0,
        "hashes_per_second": 0.0,
        "interrupted": False,
        "lacking": {"count": 1, "firm_nos": ["11010148"]},
    }
    events = list(AuditItem.query("32990002"))
    assert [event.actor for event in events] == [boto3.client("sts").get_caller_identity()["Arn"]]
    assert events[0].reason.startswith("名录更新（firms.csv sha256:")


def test_firms_that_the_file_lacks_are_reported(
    run_ops: Run, world: World, firms_file: Path
) -> None:
    """By number, the first ten in text; they stay as they are. Closed firms are not lacking."""
    others = [f"329900{number:02}" for number in range(12) if number != 2]
    for number in others:
        FirmItem(number).update([FirmItem.name.set("x")])
    ran = run_ops("import", str(firms_file), *REASON, "--json")
    assert ran.status == 0
    assert ran.json["lacking"] == {"count": 12, "firm_nos": ["11010148", *others]}
    FirmItem("11010148").update([FirmItem.closed_at.set(1)])
    ran = run_ops("import", str(firms_file), *REASON)
    assert f"文件中没有的会计师事务所 11 家：{'、'.join(others[:10])}…" in ran.out
    assert others[10] not in ran.out
    assert "文件中没有" not in run_ops("import", str(firms_file), *REASON, "--update", "--yes").out


def test_a_refused_row_does_not_lack(run_ops: Run, world: World, firms_file: Path) -> None:
    """The firm is in the file, although with a fault."""
    run_ops("import", str(firms_file), *REASON)
    firms_file.write_text(HEADER + FIRM.replace("13800001234", "1"), "utf-8")
    ran = run_ops("import", str(firms_file), *REASON, "--json")
    assert (ran.status, ran.json["lacking"]["firm_nos"]) == (1, ["11010148"])


def test_a_load_is_reported_although_the_firms_cannot_be_read(
    run_ops: Run, world: World, firms_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was loaded stays loaded; the report says that the comparison is missing."""

    def fail(*_: object) -> None:
        raise Unavailable("store")

    monkeypatch.setattr(Directory, "lacking", fail)
    ran = run_ops("import", str(firms_file), *REASON)
    assert (ran.status, change_words.LACKING_UNKNOWN in ran.out) == (0, True)
    assert run_ops("import", str(firms_file), *REASON, "--json").json["lacking"] is None


def test_refused_rows_fail_the_command_and_are_listed(
    run_ops: Run, world: World, firms_file: Path
) -> None:
    """The good rows are loaded; the exit status reports the others to a script."""
    bad = FIRM.replace("32990002", "32990003").replace("13800001234", "1")
    firms_file.write_text(HEADER + bad + FIRM.replace("Opening-1", ""), "utf-8")
    ran = run_ops("import", str(firms_file), "--reason", "首批")
    assert ran.status == 1
    for text in ("被拒绝的行", "32990003", "phone应为11位大陆手机号", "没有开户密码", "拒绝 1 行"):
        assert text in ran.out
    assert world.login_item("32990002").phone == PHONE
    assert next(iter(AuditItem.query("32990002"))).reason.startswith("首批（firms.csv")
    as_json = run_ops("import", str(firms_file), *REASON, "--json")
    assert as_json.status == 1
    assert as_json.json["refused"] == [
        {"row": 2, "firm_no": "32990003", "reasons": ["phone应为11位大陆手机号"]}
    ]
    assert as_json.json["notes"][0]["row"] == 3


def test_a_long_list_of_refused_rows_is_cut(run_ops: Run, world: World, firms_file: Path) -> None:
    """A terminal shows the first hundred, JSON has all of them."""
    firms_file.write_text(HEADER + "1,,,,,,,,\n" * 130, "utf-8")
    assert "另有 30 行未列出" in run_ops("import", str(firms_file), *REASON).out
    assert len(run_ops("import", str(firms_file), *REASON, "--json").json["refused"]) == 130


def test_control_characters_of_a_file_do_not_reach_the_terminal(
    run_ops: Run, world: World, firms_file: Path
) -> None:
    """A refused row's number and an unknown column are shown without them."""
    firms_file.write_text(HEADER + "\x1b[31m1,,,,,,,,\n", "utf-8")
    assert "\x1b[31m1" not in run_ops("import", str(firms_file), *REASON).out
    firms_file.write_text(HEADER.replace("name,", "na\x1bme,", 1), "utf-8")
    ran = run_ops("import", str(firms_file), *REASON)
    assert ran.status == 1
    assert "\x1b" not in ran.err


def test_a_file_that_cannot_be_read_fails_the_command(
    run_ops: Run, world: World, firms_file: Path
) -> None:
    """The reason is shown, and nothing is loaded."""
    firms_file.write_text("firm_no,name\n", "utf-8")
    ran = run_ops("import", str(firms_file), *REASON, "--json")
    assert (ran.status, ran.json["error"]) == (1, "directory-file")
    assert "缺少列province" in ran.json["message"]


def test_an_import_that_was_cut_short_fails_the_command(
    run_ops: Run, world: World, firms_file: Path
) -> None:
    """The store failed midway: the partial result is shown, with what to do."""
    boto3.client("dynamodb").delete_table(TableName="recovery-audit")
    ran = run_ops("import", str(firms_file), *REASON)
    assert ran.status == 1
    assert words.INTERRUPTED in ran.out
    assert run_ops("import", str(firms_file), *REASON, "--json").json["interrupted"] is True


def test_hashes_of_the_previous_system_are_listed_by_scheme(
    run_ops: Run, world: World, firms_file: Path
) -> None:
    """Each row says which scheme its hash has; neither report contains a hash."""
    lines = [FIRM.replace("Opening-1", DJANGO), FIRM.replace("Opening-1", SPRING)]
    lines.append(FIRM.replace("Opening-1", "5f4dcc3b5aa765d61d8327deb882cf99"))
    numbered = [line.replace("32990002", f"3299000{n}") for n, line in enumerate(lines)]
    firms_file.write_text(HEADER + "".join(numbered), "utf-8")
    as_json = run_ops("import", str(firms_file), *REASON, "--json")
    assert as_json.status == 1
    assert as_json.json["schemes"] == {"PBKDF2 (Django)": 1, "bcrypt": 1}
    assert "bcrypt" in as_json.json["notes"][1]["notes"][0]
    assert "其他系统的密码哈希" in as_json.json["refused"][0]["reasons"][0]
    shown = run_ops("import", str(firms_file), *REASON)
    assert "原系统的密码哈希" not in shown.out
    firms_file.write_text(HEADER + numbered[1].replace("32990001", "32990005"), "utf-8")
    loaded = run_ops("import", str(firms_file), *REASON)
    assert fill(words.SCHEMES, counts="bcrypt 1") in loaded.out
    for text in (as_json.out, as_json.err, shown.out, shown.err):
        for secret in (DJANGO, SPRING, "5f4dcc3b"):
            assert secret not in text
    assert world.login_item("32990000").password_hash == DJANGO


def test_a_sheet_is_selected_by_name(run_ops: Run, world: World, tmp_path: Path) -> None:
    """Without a name the file is refused with the names of its sheets; nothing is on stderr."""
    path = tmp_path / "firms.xlsx"
    second = ("32990002", *xlsx_cases.FIRM[1:])
    sheets = {"甲": xlsx_cases.FIRM, "乙": second}
    write = {
        name: xlsx_cases.sheet(xlsx_cases.row(), xlsx_cases.row(firm))
        for name, firm in sheets.items()
    }
    xlsx_cases.write(path, write)
    refused = run_ops("import", str(path), *REASON, "--json")
    assert (refused.status, refused.json["error"]) == (1, "directory-file")
    assert "乙" in refused.json["message"]
    loaded = run_ops("import", str(path), *REASON, "--sheet", "乙", "--json")
    assert (loaded.status, loaded.json["loaded"], loaded.err.strip()) == (0, 1, PLACE)
    assert world.login_item("32990002").phone == PHONE


def test_phones_change_only_on_request(run_ops: Run, world: World, firms_file: Path) -> None:
    """Each change is audited under the caller and sent to both phones."""
    run_ops("import", str(firms_file), *REASON)
    firms_file.write_text(HEADER + FIRM.replace("13800001234", NEW_PHONE), "utf-8")
    kept = run_ops("import", str(firms_file), *REASON)
    assert kept.status == 0
    assert "已绑定其他手机号" in kept.out
    assert world.login_item("32990002").phone == PHONE
    assert world.phones.sent == []
    world.clock.time += 1
    ran = run_ops("import", str(firms_file), "--update-phones", "--reason", "名录更新", "--json")
    assert ran.status == 0
    assert ran.json["notes"][0]["notes"] == ["32990002绑定的手机号已变更"]
    assert world.login_item("32990002").phone == "+8613900002222"
    assert [sms.to for sms in world.phones.sent] == [PHONE, "+8613900002222"]
    unapproved, event = list(AuditItem.query("32990002"))[-2:]
    assert (event.event, unapproved.event) == ("phone-changed", "break-glass")
    assert event.reason.startswith("名录更新（firms.csv")
    assert event.actor == boto3.client("sts").get_caller_identity()["Arn"]


def test_a_terminal_gets_a_progress_bar(
    run_ops: Run, world: World, firms_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on stderr, and only on a terminal."""
    assert "1/1" not in run_ops("import", str(firms_file), *REASON).err
    monkeypatch.setenv("FORCE_COLOR", "1")
    watched = run_ops("import", str(firms_file), *REASON, "--json")
    assert "1/1" in watched.err
    assert watched.json["unchanged"] == 1


CHANGE = "firm_no,name,head_name\n32990002,改名会计师事务所,尤样例\n32990009,无此所名,甲乙\n"


def changed_file(firms_file: Path, text: str) -> str:
    """Write a file beside the directory file and return its path."""
    path = firms_file.with_name("changed.csv")
    path.write_text(text, "utf-8")
    return str(path)


def test_an_update_changes_only_the_columns_of_the_file(
    run_ops: Run, world: World, firms_file: Path
) -> None:
    """After a preview; a firm that is not enrolled is refused, not created."""
    run_ops("import", str(firms_file), *REASON)
    before = world.login_item("32990002")
    world.clock.time += 1
    path = changed_file(firms_file, CHANGE)
    ran = run_ops("import", path, *REASON, "--update", "--yes", "--json")
    assert ran.status == 1
    assert (ran.json["loaded"], ran.json["hashes"]) == (1, 0)
    assert ran.json["refused"][0]["reasons"] == ["firm_no没有已导入的会计师事务所"]
    for text in ("文件共 2 行，将改动 1 家", "1  head_name", "1  name", "32990002"):
        assert text in ran.err
    assert "尤样例" not in ran.err
    firm = FirmItem.get("32990002")
    assert (firm.name, firm.head_name) == ("改名会计师事务所", "尤样例")
    assert (firm.province, firm.approval_no) == ("32", "苏财会〔2010〕0017号")
    after = world.login_item("32990002")
    assert (after.phone, after.password_hash) == (before.phone, before.password_hash)
    assert not FirmItem.count("32990009")
    again = run_ops("import", path, *REASON, "--update", "--yes", "--json")
    assert "将改动 0 家" in again.err
    assert again.json["unchanged"] == 1


def test_an_update_without_consent_changes_nothing(
    run_ops: Run, world: World, firms_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal it fails after the preview; on a terminal the operator may decline."""
    run_ops("import", str(firms_file), *REASON)
    path = changed_file(firms_file, CHANGE)
    ran = run_ops("import", path, *REASON, "--update")
    assert ran.status == 2
    assert "将改动 1 家" in ran.err
    assert "--yes" in ran.err
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert run_ops("import", path, *REASON, "--update").status == 130
    assert FirmItem.get("32990002").head_name == "甄示例"
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert run_ops("import", path, *REASON, "--update").status == 1
    assert FirmItem.get("32990002").head_name == "尤样例"


def test_an_update_of_phones_counts_what_it_would_change(
    run_ops: Run, world: World, firms_file: Path
) -> None:
    """A bound phone only with --update-phones; an empty cell is no change."""
    run_ops("import", str(firms_file), *REASON)
    path = changed_file(firms_file, f"会计师事务所编号;手机号;财务手机号\n32990002;{NEW_PHONE};\n")
    kept = run_ops("import", path, *REASON, "--update", "--yes")
    assert "将改动 0 家" in kept.err
    assert world.login_item("32990002").phone == PHONE
    ran = run_ops("import", path, *REASON, "--update", "--yes", "--update-phones")
    assert "1  phone" in ran.err
    assert ran.status == 0
    assert world.login_item("32990002").phone == f"+86{NEW_PHONE}"
    bound = changed_file(firms_file, f"firm_no,finance_phone\n32990002,{NEW_PHONE}\n")
    assert "1  finance_phone" in run_ops("import", bound, *REASON, "--update", "--yes").err
    assert world.login_item("32990002_cw").phone == f"+86{NEW_PHONE}"


def test_an_update_of_rows_that_are_wrong_names_them(
    run_ops: Run, world: World, firms_file: Path
) -> None:
    """A number that is none, and a value that is none; a first password is counted as a change."""
    firms_file.write_text(HEADER + FIRM.replace("Opening-1", ""), "utf-8")
    run_ops("import", str(firms_file), *REASON)
    rows = "北京,,\n32990002,锟斤拷,\n"
    path = changed_file(firms_file, f"firm_no,name,opening_password\n{rows}")
    ran = run_ops("import", path, *REASON, "--update", "--yes", "--json")
    assert (ran.status, ran.json["loaded"]) == (1, 0)
    assert [refused["row"] for refused in ran.json["refused"]] == [2, 3]
    first = changed_file(firms_file, "firm_no,opening_password\n32990002,Opening-2\n")
    assert "1  opening_password" in run_ops("import", first, *REASON, "--update", "--yes").err
    stored = world.login_item("32990002").password_hash
    assert world.service.hasher.verify(stored, "Opening-2")


def test_a_partial_file_needs_the_option(run_ops: Run, world: World, firms_file: Path) -> None:
    """Without it the missing columns are named; firm_no is needed in any case."""
    path = changed_file(firms_file, CHANGE)
    refused = run_ops("import", path, *REASON)
    assert refused.status == 1
    assert "缺少列province" in refused.err
    unnumbered = changed_file(firms_file, "name\n改名\n")
    assert "缺少列firm_no" in run_ops("import", unnumbered, *REASON, "--update", "--yes").err


class Terminal(io.StringIO):
    """Standard input of a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("reason", "status"), [((), 2), (("--reason", " "), 1)])
def test_an_import_requires_a_reason(
    run_ops: Run, world: World, firms_file: Path, reason: tuple[str, ...], status: int
) -> None:
    """Without one nothing is loaded."""
    assert run_ops("import", str(firms_file), *reason).status == status
    assert AuditItem.count() == 0


def test_an_import_shows_where_it_acts(run_ops: Run, world: World, firms_file: Path) -> None:
    """The AWS account, the region and the prefix of the tables."""
    assert PLACE in run_ops("import", str(firms_file), *REASON).err
