"""Parsing: attachments are documents of their own, linked to their mail."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

SQL = """
alter table document
    add column parent_id bigint references document on delete cascade,
    add column unpacked_version_id bigint;
create index document_by_parent on document (parent_id) where parent_id is not null;
create function with_attachments(ids bigint[]) returns setof bigint language sql stable as $$
    with recursive tree as (
        select id from document where id = any(ids)
        union
        select document.id from document join tree on document.parent_id = tree.id
    )
    select id from tree
$$;
create index parsed_with_attachments on parsed (namespace_id, parser_id, content_hash)
    where metadata ? 'attachments';
alter table dead_letter
    drop constraint dead_letter_stage_check,
    add constraint dead_letter_stage_check
        check (stage in ('fetch', 'parse', 'unpack', 'chunk', 'embed'));
"""


def upgrade() -> None:
    op.execute(SQL)
