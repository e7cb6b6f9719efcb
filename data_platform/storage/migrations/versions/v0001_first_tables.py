"""Make the journal, its heads and files, the inputs, the ledger, the verdicts, the breakers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIES = ("exchange", "timeframe", "pair")
_PARTITION = ("layer", *_SERIES, "feature_set", "period")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the eight tables."""
    _make_journal()
    _make_files()
    _make_ledger_and_verdicts()
    _make_breakers()


def downgrade() -> None:
    """Drop the eight tables."""
    names = ("breakers", "quality", "ledger_months", "gaps", "files", "inputs", "partitions")
    for name in (*names, "commits"):
        op.drop_table(name)


def _make_journal() -> None:
    op.create_table(
        "commits",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        *(_text(name) for name in _PARTITION),
        *(_number(name) for name in ("version", "rows")),
        *(_time(name) for name in ("first_open", "last_open")),
        _text("content_hash"),
        sa.Column("file_sha256", sa.String),
        sa.Column("path", sa.String),
        sa.Column("replaced", sa.String),
        _text("months"),
        _number("schema_version"),
        _text("source"),
        *(_time(name) for name in ("fetched_at", "fetched_first", "fetched_last")),
        *(_text(name) for name in ("run_id", "code_version", "reason")),
        *(_number(name) for name in ("added", "changed", "refused")),
        sa.Column("committed_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint(*_PARTITION, "version", name="commits_version"),
    )
    op.create_table(
        "partitions",
        *(_text(name) for name in _PARTITION),
        sa.Column("commit_id", _ID, nullable=False),
        sa.Column("rewrite_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint(*_PARTITION, name="partitions_key"),
    )
    op.create_table(
        "inputs",
        sa.Column("commit_id", _ID, nullable=False),
        _number("position"),
        *(_text(name) for name in ("layer", *_SERIES)),
        *(_time(name) for name in ("first_open", "last_open")),
        _text("content_hash"),
        sa.PrimaryKeyConstraint("commit_id", "position", name="inputs_key"),
    )


def _make_files() -> None:
    op.create_table(
        "files",
        sa.Column("path", sa.String, primary_key=True),
        *(_text(name) for name in _PARTITION),
        sa.Column("size", sa.BigInteger, nullable=False),
        *(_text(name) for name in ("sha256", "stamp")),
    )
    op.create_index("files_partition", "files", list(_PARTITION))


def _make_ledger_and_verdicts() -> None:
    op.create_table(
        "gaps",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        *(_text(name) for name in _SERIES),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("start", "end")),
        _number("missing"),
        _text("status"),
        sa.Column("confirmed", sa.Boolean, nullable=False),
        _text("evidence"),
        _number("tries"),
        _time("next_try"),
        sa.UniqueConstraint(*_SERIES, "start", name="gaps_start"),
    )
    op.create_index("gaps_status", "gaps", [*_SERIES, "status", "start", "missing"])
    op.create_table(
        "ledger_months",
        *(_text(name) for name in (*_SERIES, "period")),
        *(_number(name) for name in ("changes", "quiet_changes")),
        sa.PrimaryKeyConstraint(*_SERIES, "period", name="ledger_months_key"),
    )
    op.create_table(
        "quality",
        *(_text(name) for name in (*_PARTITION, "rule", "day", "severity")),
        _number("count"),
        *(_text(name) for name in ("rows_json", "threshold_json")),
        sa.Column("checked_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(*_PARTITION, "rule", "day", name="quality_key"),
    )


def _make_breakers() -> None:
    op.create_table(
        "breakers",
        sa.Column("exchange", sa.String, primary_key=True),
        _text("state"),
        _number("failures"),
        *(_time(name) for name in ("opened_at", "until")),
        _text("reason"),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger)
