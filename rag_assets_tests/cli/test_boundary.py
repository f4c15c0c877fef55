from __future__ import annotations

import json

import pytest

from rag.cli.boundary import run
from rag.errors import ConfigurationError, RagError


def raising(error: BaseException):
    def command() -> object:
        raise error

    return command


def test_error_is_one_line_with_its_code(capsys):
    error = ConfigurationError("Something\nis wrong: put it right.", code="wrong_thing")

    code = run(raising(error), ["status"])

    captured = capsys.readouterr()
    assert code == 1
    assert captured.out == ""
    assert captured.err == "Cannot proceed: Something is wrong: put it right. [wrong_thing]\n"


def test_error_with_json_is_an_object_on_standard_output(capsys):
    code = run(raising(RagError("It failed.", code="it_failed")), ["status", "--json"])

    assert code == 1
    assert json.loads(capsys.readouterr().out) == {"code": "it_failed", "message": "It failed."}


def test_unexpected_error_is_one_line_and_its_traceback_is_kept(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RAG_HOME", str(tmp_path))

    code = run(raising(ValueError("odd")), ["status"])

    captured = capsys.readouterr()
    log = tmp_path / "logs" / "rag.log"
    assert code == 1
    assert captured.err.count("\n") == 1
    assert str(log) in captured.err
    assert "Traceback" not in captured.err
    assert "ValueError: odd" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt(), 130), (RagError("no"), 1), (None, 0)]
)
def test_exit_codes(raised, code, capsys):
    command = raising(raised) if raised is not None else lambda: None

    assert run(command, []) == code


def test_wrong_command_line_is_one_line_and_code_2(rag):
    answer = rag("status", "--nonsense", "--json")

    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "--nonsense" in answer.err
    assert answer.json["code"] == "bad_usage"


def test_server_log_is_shown_before_the_line_that_ends_the_command(capsys):
    error = RagError("The server died.", code="died", log_tail="last words")

    run(raising(error), [])

    assert capsys.readouterr().err.splitlines() == [
        "  last words",
        "Cannot proceed: The server died. [died]",
    ]
