"""Make the tables of alarms and of the messages about them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and their indexes."""
    words = ("key", "type", "severity", "exchange", "subject", "message", "action_taken")
    op.create_table(
        "alarms",
        sa.Column("alert_id", sa.String, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in words),
        sa.Column("market", sa.String),
        sa.Column("escalate", sa.Boolean, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("alarms_ended", "alarms", ["ended_at"])
    op.create_table(
        "alert_outbox",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("way", sa.String, nullable=False),
        sa.Column("content_json", sa.String, nullable=False),
    )
    op.create_index("alert_outbox_way", "alert_outbox", ["way", "id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("alert_outbox")
    op.drop_table("alarms")
