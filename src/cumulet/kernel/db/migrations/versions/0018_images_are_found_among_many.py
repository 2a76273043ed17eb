"""Images are found among many by what they are sorted by, and by tags and properties, of which triggers keep an index"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SORTED = ("name", "status", "container_format", "disk_format", "size", "created_at", "updated_at")
FOUND = ("checksum", "os_hidden")
TRIGGERS = {
    "sqlite": (
        """
        CREATE TRIGGER image_terms_made AFTER INSERT ON images BEGIN
        INSERT INTO image_terms (term, image_id)
        SELECT substr('t' || value, 1, 400), NEW.id FROM json_each(NEW.tags)
        UNION SELECT substr('p' || key || '=' || value, 1, 400), NEW.id FROM json_each(NEW.properties);
        END
        """,
        """
        CREATE TRIGGER image_terms_changed AFTER UPDATE OF tags, properties ON images BEGIN
        DELETE FROM image_terms WHERE image_id = NEW.id;
        INSERT INTO image_terms (term, image_id)
        SELECT substr('t' || value, 1, 400), NEW.id FROM json_each(NEW.tags)
        UNION SELECT substr('p' || key || '=' || value, 1, 400), NEW.id FROM json_each(NEW.properties);
        END
        """,
    ),
    "postgresql": (
        """
        CREATE OR REPLACE FUNCTION image_terms() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM image_terms WHERE image_id = NEW.id;
        INSERT INTO image_terms (term, image_id)
        SELECT substr('t' || value, 1, 400), NEW.id FROM json_array_elements_text(NEW.tags)
        UNION SELECT substr('p' || key || '=' || value, 1, 400), NEW.id FROM json_each_text(NEW.properties);
        RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER image_terms AFTER INSERT OR UPDATE OF tags, properties ON images FOR EACH ROW EXECUTE FUNCTION image_terms()",
    ),
}


def upgrade() -> None:
    op.create_table(
        "image_terms",
        sa.Column("term", sa.String(length=400), nullable=False),
        sa.Column("image_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_image_terms_image_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("term", "image_id", name=op.f("pk_image_terms")),
    )
    op.create_index(op.f("ix_image_terms_image_id"), "image_terms", ["image_id"])
    op.drop_index(op.f("ix_images_status"), "images")
    for column in SORTED:
        op.create_index(f"ix_images_{column}_id", "images", [column, "id"])
    for column in FOUND:
        op.create_index(f"ix_images_{column}", "images", [column])
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)
    op.execute("UPDATE images SET tags = tags")


def downgrade() -> None:
    for statement in {
        "sqlite": ("DROP TRIGGER image_terms_made", "DROP TRIGGER image_terms_changed"),
        "postgresql": ("DROP TRIGGER image_terms ON images", "DROP FUNCTION image_terms()"),
    }[op.get_bind().dialect.name]:
        op.execute(statement)
    for column in FOUND:
        op.drop_index(f"ix_images_{column}", "images")
    for column in SORTED:
        op.drop_index(f"ix_images_{column}_id", "images")
    op.create_index(op.f("ix_images_status"), "images", ["status"])
    op.drop_table("image_terms")
