"""Make the table of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and its index."""
    numbers = ("steps", "written", "failed", "requests", "retries", "candles", "refused")
    op.create_table(
        "runs",
        *(sa.Column(name, sa.String, nullable=False) for name in ("run_id", "exchange", "kind")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("started_at", "ended_at")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in numbers),
        sa.Column("errors_json", sa.String, nullable=False),
        sa.Column("lag_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("run_id", "exchange", name="runs_key"),
    )
    op.create_index("runs_started", "runs", ["exchange", "started_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("runs")
