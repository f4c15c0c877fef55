"""Row-level security behind every route that reads, not behind searches alone."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

SQL = """
do $$
declare
    rule record;
begin
    if not exists (select from pg_roles where rolname = 'rag_reader')
            or current_setting('server_version_num')::int < 150000 then
        return;
    end if;
    for rule in
        select * from (values
            ('source', 'collection_id in (select id from collection)'),
            ('hint', 'exists (select from source where source.id = hint.source_id)'),
            ('dead_letter',
                'exists (select from document where document.id = dead_letter.document_id)'),
            ('stage_run', 'collection_id in (select id from collection)'),
            ('upload_job', 'collection_id in (select id from collection)'),
            ('upload_file',
                'exists (select from upload_job where upload_job.id = upload_file.job_id)')
        ) as made (name, condition)
    loop
        execute format('alter table %I enable row level security', rule.name);
        execute format('grant select on %I to rag_reader', rule.name);
        execute format('create policy reader on %I for select to rag_reader using (%s)',
            rule.name, rule.condition);
    end loop;
    -- a view reads as its owner unless it is told otherwise
    execute 'alter view document_status set (security_invoker = true)';
    grant select on document_status to rag_reader;
exception when insufficient_privilege then
    raise notice 'role rag_reader can not be granted more: reading goes without row-level security';
end $$;
"""


def upgrade() -> None:
    op.execute(SQL)
