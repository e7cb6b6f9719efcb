"""Call verdicts by their name, with how many rows were looked at, and make the table of scores."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PARTITION = ("layer", "exchange", "timeframe", "pair", "feature_set", "period")
_REST = ("rule", "day", "severity", "count", "rows_json", "threshold_json", "checked_at")


def upgrade() -> None:
    """Move the verdicts to a table of their own name; make the scores."""
    # Not renamed: a server keeps the old key's name, which the new table of scores needs.
    op.create_table("verdicts", *_verdict_columns(), _number("checked"), _key("verdicts", "rule"))
    _copy("quality", "verdicts", checked=0)
    op.drop_table("quality")
    shares = ("completeness", "validity", "consistency", "accuracy", "timeliness")
    op.create_table(
        "quality",
        *(_text(name) for name in (*_PARTITION, "day")),
        *(_number(name) for name in ("expected", "stored")),
        *(sa.Column(name, sa.Float) for name in (*shares, "score_five", "score_four")),
        *(_text(name) for name in ("absent", "profiles", "basis")),
        sa.Column("checked_at", sa.BigInteger, nullable=False),
        _key("quality"),
    )


def downgrade() -> None:
    """Drop the scores; move the verdicts back."""
    op.drop_table("quality")
    op.create_table("quality", *_verdict_columns(), _key("quality", "rule"))
    _copy("verdicts", "quality")
    op.drop_table("verdicts")


def _copy(source: str, target: str, **more: int) -> None:
    names = [*_PARTITION, *_REST]
    values: list[sa.ColumnElement[Any]] = [sa.column(name) for name in names]
    values += [sa.literal(value) for value in more.values()]
    table = sa.table(target, *(sa.column(name) for name in (*names, *more)))
    rows = sa.select(*values).select_from(sa.table(source))
    op.execute(table.insert().from_select([*names, *more], rows))


def _verdict_columns() -> list[sa.Column[object]]:
    return [
        *(_text(name) for name in (*_PARTITION, "rule", "day", "severity")),
        _number("count"),
        *(_text(name) for name in ("rows_json", "threshold_json")),
        sa.Column("checked_at", sa.BigInteger, nullable=False),
    ]


def _key(table: str, *more: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*_PARTITION, *more, "day", name=f"{table}_key")


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.String, nullable=False)


def _number(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer, nullable=False)
