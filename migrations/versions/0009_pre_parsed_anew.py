"""A text may be parsed anew while the one before it serves: what lacks descriptions of pictures."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"

SQL = """
-- when another parse was asked for: until that is published this one serves
alter table parsed add column superseded_at timestamptz;
create unique index parsed_by_content on parsed
    (namespace_id, parser_id, content_hash, coalesce(superseded_at, 'infinity'));

create or replace view cut_document as
select
    document.id as document_id, document.collection_id, document.shard, document.uri,
    document.version_id, collection.namespace_id, parsed.id as parsed_id, parsed.parser_id,
    chunk_set.id as chunk_set_id, chunk_set.chunker_id, chunk_set.chunk_count,
    chunk_set.token_count
from document
join collection on collection.id = document.collection_id
join document_version on document_version.id = document.version_id
join parsed on parsed.namespace_id = collection.namespace_id
    and parsed.content_hash = document_version.content_hash
    and parsed.superseded_at is null
join chunk_set on chunk_set.parsed_id = parsed.id
where document.deleted_at is null;
"""


def upgrade() -> None:
    op.execute(SQL)
