import inspect

from data_platform.domain import errors


def test_every_error_says_in_its_docstring_what_to_do() -> None:
    classes = [found for _, found in inspect.getmembers(errors, inspect.isclass)]
    classes = [found for found in classes if found.__module__ == errors.__name__]
    assert len(classes) > 5
    for found in classes:
        assert issubclass(found, errors.DataPlatformError)
        assert "__doc__" in vars(found)
        assert len(found.__doc__ or "") > 30
