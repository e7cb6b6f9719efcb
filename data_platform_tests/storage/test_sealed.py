import pytest

from data_platform.storage.sealed import from_sealed_text, to_sealed_text

CONTENT = {"format": 3, "names": ["a", "b"], "of": {"deep": 1.5}}


def test_content_survives_its_text() -> None:
    assert from_sealed_text(to_sealed_text(CONTENT), 3) == CONTENT


def test_the_order_of_keys_does_not_matter() -> None:
    turned = dict(reversed(CONTENT.items()))
    assert from_sealed_text(to_sealed_text(turned), 3) == CONTENT


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"a"', '"c"', "not what was written"),
        ("1.5", "1.6", "not what was written"),
        ('"format": 3', '"format": 4', "format 4, this program reads 3"),
    ],
)
def test_what_was_changed_is_refused(old: str, new: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        from_sealed_text(to_sealed_text(CONTENT).replace(old, new), 3)
