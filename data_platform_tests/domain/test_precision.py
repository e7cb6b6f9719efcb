from data_platform.domain.precision import Precision


def test_widened_holds_what_either_holds() -> None:
    assert Precision(2, 5).widened(Precision(8, 0)) == Precision(8, 5)


def test_is_spelled_price_before_size() -> None:
    assert str(Precision(2, 5)) == "2.5"
