"""Let verdicts tell what they rest on beyond their own partition, and what was measured."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = {"measured_json": "{}", "basis": ""}


def upgrade() -> None:
    """Add the columns; older verdicts measured nothing and rest on their own partition."""
    for name, default in _COLUMNS.items():
        column = sa.Column(name, sa.String, nullable=False, server_default=default)
        op.add_column("verdicts", column)


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("verdicts") as table:
        for name in _COLUMNS:
            table.drop_column(name)
