"""Make the table of the decimals that each market's candles need."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; it is filled as files for other programs are written."""
    op.create_table(
        "instruments",
        sa.Column("exchange", sa.String, primary_key=True),
        sa.Column("pair", sa.String, primary_key=True),
        sa.Column("price_decimals", sa.Integer, nullable=False),
        sa.Column("size_decimals", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("instruments")
