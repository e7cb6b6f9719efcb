"""Note in the log of runs when the exchange last answered, and how soon."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns; of older runs nobody knows."""
    for name in ("answered_at", "latency_ms"):
        op.add_column("runs", sa.Column(name, sa.BigInteger))


def downgrade() -> None:
    """Drop them."""
    for name in ("latency_ms", "answered_at"):
        op.drop_column("runs", name)
