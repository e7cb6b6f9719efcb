from pathlib import Path

import pytest

from data_platform.config.strict_yaml import parse_yaml, read_yaml, spell_path
from data_platform.domain.errors import ConfigError

FILE = Path("some.yaml")


def refusal(content: str | bytes) -> str:
    raw = content.encode() if isinstance(content, str) else content
    with pytest.raises(ConfigError) as caught:
        parse_yaml(raw, FILE)
    return str(caught.value)


def test_values_keep_the_type_that_every_yaml_version_reads() -> None:
    text = b"text: BTC/USDT\nint: 12\nfloat: -0.01\nyes_: true\nnone: null\nempty:\ntilde: ~\n"
    assert parse_yaml(text, FILE).values == {
        "text": "BTC/USDT",
        "int": 12,
        "float": -0.01,
        "yes_": True,
        "none": None,
        "empty": None,
        "tilde": None,
    }


def test_dates_and_durations_stay_text() -> None:
    values = parse_yaml(b"start: 2021-01-01\nevery: 5m\n1m: [1h, 4h]\n", FILE).values
    assert values == {"start": "2021-01-01", "every": "5m", "1m": ["1h", "4h"]}


def test_quoted_scalars_are_text_whatever_they_look_like() -> None:
    assert parse_yaml(b"a: 'NO'\nb: \"1:30\"\nc: '1e3'\n", FILE).values == {
        "a": "NO",
        "b": "1:30",
        "c": "1e3",
    }


def test_lines_are_known_of_keys_and_entries() -> None:
    document = parse_yaml(b"# comment\ntop:\n  inner:\n    - one\n    - two\n", FILE)
    assert document.line_of(("top",)) == 2
    assert document.line_of(("top", "inner", 1)) == 5
    assert document.line_of(("top", "unknown", "deeper")) == 2
    assert document.line_of(("unknown",)) == 1


def test_a_path_is_spelled_as_people_write_it() -> None:
    assert spell_path(("exchanges", "binance", "pairs", 2)) == "exchanges.binance.pairs[2]"


@pytest.mark.parametrize("word", ["NO", "no", "Yes", "on", "OFF", "y", "N", "True", "FALSE"])
def test_r32_words_that_yaml_may_read_as_booleans_are_refused(word: str) -> None:
    message = refusal(f"first: 1\npairs:\n  - {word}\n")
    assert message.startswith(f"some.yaml:3: found {word!r}: ")
    assert "`true` or `false`" in message


@pytest.mark.parametrize("number", ["1:30", "190:20:30", "-1:30", "1:30.5"])
def test_r32_numbers_to_the_base_60_are_refused(number: str) -> None:
    assert refusal(f"a: b\ngrace: {number}\n").startswith(f"some.yaml:2: found {number!r}: ")


@pytest.mark.parametrize(
    "number",
    ["1e3", "1E+3", "1.5e3", ".5", "5.", "1_000", "+5", "010", "0o10", "0x1F", "0b1", ".inf",
     "-.INF", ".nan", "00"],
)  # fmt: skip
def test_numbers_that_yaml_versions_read_differently_are_refused(number: str) -> None:
    message = refusal(f"a: b\nrate_limit: {number}\n")
    assert message.startswith(f"some.yaml:2: found {number!r}: ")
    assert "quote a text" in message


@pytest.mark.parametrize("word", ["Null", "NULL"])
def test_other_spellings_of_null_are_refused(word: str) -> None:
    assert "write `null`" in refusal(f"a: {word}\n")


def test_surprising_words_are_refused_as_keys_too() -> None:
    assert refusal("a: 1\nNO: 2\n").startswith("some.yaml:2: found 'NO'")
    assert refusal("a: 1\n5: 2\n").startswith("some.yaml:2: key '5' is not a text")
    assert refusal("a: 1\n? [x, y]\n: 2\n").startswith("some.yaml:2: key ")


def test_r32_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    message = refusal("top:\n  a: 1\n  b: 2\n  a: 3\n")
    assert message == "some.yaml:4: key 'a' stands twice, first on line 2."


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: !!python/object/apply:os.system ['true']\n",
        "a: 1\nb: !!python/name:os.system\n",
        "a: 1\nb: !!str 5\n",
        "a: 1\nb: !own {}\n",
    ],
)
def test_r32_tags_are_refused(text: str) -> None:
    message = refusal(text)
    assert message.startswith("some.yaml:2: tag ")
    assert "is not accepted" in message


def test_anchors_aliases_and_merges_are_refused() -> None:
    assert refusal("a: &x {b: 1}\nc: *x\n").startswith("some.yaml:1: anchors and aliases")
    assert refusal("a: 1\nb: *x\n").startswith("some.yaml:2: anchors and aliases")
    assert refusal("a: 1\n<<: {b: 1}\n").startswith("some.yaml:2: found '<<'")


def test_two_documents_in_a_file_are_refused() -> None:
    assert refusal("a: 1\n---\nb: 2\n").startswith("some.yaml:2: not valid YAML")


@pytest.mark.parametrize("text", ["", "# only a comment\n", "- a\n- b\n", "just text\n"])
def test_a_file_without_keys_is_refused(text: str) -> None:
    assert refusal(text) == "some.yaml:1: expected keys with values, found none."


def test_broken_yaml_is_refused_with_its_line() -> None:
    assert refusal("a: 1\nb: [1, 2\nc: 3\n").startswith("some.yaml:3: not valid YAML")
    assert refusal("a: 1\n\tb: 2\n").startswith("some.yaml:2: not valid YAML")


def test_other_encodings_and_control_characters_are_refused_with_their_line() -> None:
    assert refusal(b"a: 1\nb: \xff\n") == "some.yaml:2: expected UTF-8, found another encoding."
    assert refusal(b"a: 1\nb: \x07\n").startswith("some.yaml:2: not valid YAML")


def test_nesting_is_bounded() -> None:
    assert "nested deeper than 20 levels" in refusal("a: " + "[" * 3000 + "]" * 3000)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse_yaml(b"\xef\xbb\xbfa: 1\n", FILE).values == {"a": 1}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_a_file_that_is_too_large_is_refused_unparsed(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match="found 1000001 bytes, at most 1000000"):
        read_yaml(large)


def test_a_file_below_the_current_folder_is_named_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("a: 1\n")
    assert read_yaml(tmp_path / "a.yaml").path == Path("a.yaml")
