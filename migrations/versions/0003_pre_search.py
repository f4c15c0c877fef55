"""Search: postings, partitions of large generations, and who may see a document."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

SQL = """
alter table generation add column home bigint not null default 0;
alter table document add column principals text[];
create index document_by_access on document (collection_id) where principals is not null;
alter table api_key add column principals text[];
-- What lexical search reads: the slots that one publish gave out to its rows, in the order of its
-- documents. A document that is replaced or removed leaves dead slots behind until segments merge.
create table segment (
    id bigint generated always as identity primary key,
    generation_id bigint not null references generation on delete cascade,
    shard int not null,
    slots int not null,
    rows int not null, -- live ones
    words bigint not null, -- in live rows
    dead int4multirange not null default '{}'
);
create index segment_by_generation on segment (generation_id, shard);

alter table publication
    add column segment_id bigint references segment,
    add column first_slot int,
    add column words bigint;
create index publication_by_slot on publication (segment_id, first_slot);

-- Which rows of a segment hold a lexeme: records of 8 bytes (rag/ranking.py, ENTRY).
create table posting (
    segment_id bigint not null,
    lexeme text collate "C" not null,
    entries bytea not null,
    primary key (segment_id, lexeme)
);
alter table posting alter column entries set storage external;

-- Dead slots are made here, whoever replaces or removes a publication: no statement can forget it.
create function bury_slots() returns trigger language plpgsql as $$
begin
    update segment set
        dead = segment.dead + gone.slots, rows = segment.rows - gone.rows,
        words = segment.words - gone.words
    from (
        select segment_id, sum(chunk_count) as rows, sum(words) as words,
            range_agg(int4range(first_slot, first_slot + chunk_count)) as slots
        from gone_publication where segment_id is not null group by segment_id
    ) as gone
    where segment.id = gone.segment_id;
    return null;
end $$;
create trigger bury_replaced after update on publication
    referencing old table as gone_publication for each statement execute function bury_slots();
create trigger bury_removed after delete on publication
    referencing old table as gone_publication for each statement execute function bury_slots();

create function drop_postings() returns trigger language plpgsql as $$
begin
    delete from posting using gone_segment where posting.segment_id = gone_segment.id;
    return null;
end $$;
create trigger drop_postings after delete on segment
    referencing old table as gone_segment for each statement execute function drop_postings();

-- Who may see a document, as the object beside it says (`<name>.acl.json`); `etag` is that
-- object's.
create table access_list (
    source_id int not null references source on delete cascade,
    uri text not null,
    etag text not null,
    principals text[] not null,
    primary key (source_id, uri)
);

do $$
begin
    if not exists (select from pg_roles where rolname = 'rag_reader') then
        return;
    end if;
    alter table segment enable row level security;
    alter table posting enable row level security;
    grant select on segment, posting to rag_reader;
    create policy reader on segment for select to rag_reader using (
        generation_id = any (array(select id from generation where state = 'live')));
    create policy reader on posting for select to rag_reader using (
        exists (select from segment where segment.id = posting.segment_id));
exception when insufficient_privilege then
    raise notice 'role rag_reader can not be granted more: search goes without row-level security';
end $$;
"""


def upgrade() -> None:
    op.execute(SQL)
