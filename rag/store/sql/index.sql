-- name: find_generation
-- The generation of a collection under one configuration, unless it is retired.
select id, state from generation
where collection_id = %(collection_id)s and parser_id = %(parser_id)s
    and chunker_id = %(chunker_id)s and model_id = %(model_id)s and state <> 'retired'

-- name: create_generation
-- A generation of a new configuration; live at once when the collection has none yet.
insert into generation (collection_id, parser_id, chunker_id, model_id, state, promoted_at, run_id)
select
    collection.id, %(parser_id)s, %(chunker_id)s, %(model_id)s,
    case when collection.live_generation_id is null then 'live' else 'building' end,
    case when collection.live_generation_id is null then now() end, %(run_id)s
from collection where collection.id = %(collection_id)s
returning id, state

-- name: lock_collection
-- Serialise changes of a collection's generations.
select live_generation_id from collection where id = %(collection_id)s for update

-- name: point_to
-- Move the live pointer.
update collection set live_generation_id = %(generation_id)s where id = %(collection_id)s

-- name: retire_live
-- The generation that served until now, and older ones that never came to serve.
update generation set state = 'retired', retired_at = now()
where collection_id = %(collection_id)s and id <> %(generation_id)s
    and (state = 'live' or (state = 'building' and id < %(generation_id)s))

-- name: make_live
-- The generation that serves from now on.
update generation set state = 'live', promoted_at = now(), retired_at = null
where id = %(generation_id)s

-- name: documents_behind
-- Documents of the whole collection that a generation should serve and does not yet. One that
-- failed for good is not waited for; one whose object or engine is away for now is: a generation
-- that went live without it would take it out of search.
select count(*) as documents
from document
left join publication on publication.generation_id = %(generation_id)s
    and publication.document_id = document.id
where document.collection_id = %(collection_id)s and document.deleted_at is null
    and document.version_id is not null
    and publication.version_id is distinct from document.version_id
    and not exists (
        select from dead_letter
        where dead_letter.document_id = document.id and dead_letter.resolved_at is null
            and dead_letter.version_id = document.version_id
            and dead_letter.kind in ('poison', 'policy', 'configuration'))

-- name: pending_shards
-- Shards with documents that are registered, not served by the live generation, neither barred nor
-- in a worker's hands: what a crash left behind once its claims lapsed, and retries that are due.
select
    namespace.name as namespace, collection.name as collection, collection.shards,
    document.shard, count(*) as documents, max(document.version_id) as newest_version,
    (coalesce(sum(dead_letter.attempts), 0) + coalesce(sum(claim.attempts), 0))::bigint as attempts
from document
join collection on collection.id = document.collection_id
join namespace on namespace.id = collection.namespace_id
left join publication on publication.generation_id = collection.live_generation_id
    and publication.document_id = document.id
left join dead_letter on dead_letter.document_id = document.id
    and dead_letter.version_id = document.version_id and dead_letter.resolved_at is null
left join lateral (
    select sum(lease.attempts) as attempts,
        bool_or(lease.beat_at >= now() - make_interval(secs => %(lease_s)s)) as is_held
    from lease where lease.version_id = document.version_id
) as claim on true
where document.deleted_at is null and document.version_id is not null
    and (publication.version_id is distinct from document.version_id
        or dead_letter.stage = 'unpack')
    and (dead_letter.id is null or dead_letter.next_retry_at <= now())
    and claim.is_held is not true
group by 1, 2, 3, 4
order by 1, 2, 4

-- name: to_publish
-- Documents whose newest version is cut and not what the generation serves.
select cut_document.document_id
from cut_document
left join publication on publication.generation_id = %(generation_id)s
    and publication.document_id = cut_document.document_id
where cut_document.collection_id = %(collection_id)s and cut_document.shard = %(shard)s
    and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s
    and (publication.version_id, publication.chunk_set_id)
        is distinct from (cut_document.version_id, cut_document.chunk_set_id)
order by 1

-- name: lock_documents
-- Hold these documents still: no registration or deletion comes between reading and publishing.
select id from document where id = any(%(ids)s) order by id for no key update

-- name: ready
-- Of these documents, those that are whole (each chunk has its vector) and not older than what is
-- served: the compare of compare-and-set.
create temporary table ready on commit drop as
select cut_document.document_id, cut_document.version_id, cut_document.chunk_set_id,
    cut_document.chunk_count
from cut_document
join embedded_set on embedded_set.chunk_set_id = cut_document.chunk_set_id
    and embedded_set.model_id = %(model_id)s
left join publication on publication.generation_id = %(generation_id)s
    and publication.document_id = cut_document.document_id
where cut_document.document_id = any(%(ids)s)
    and cut_document.parser_id = %(parser_id)s and cut_document.chunker_id = %(chunker_id)s
    and coalesce(publication.version_id, 0) <= cut_document.version_id

-- name: unpublish
-- The rows that are about to be replaced.
delete from search_row using ready
where search_row.generation_id = %(generation_id)s
    and search_row.document_id = ready.document_id

-- name: publish_rows
-- The search rows of whole documents, made by the server from chunks and vectors.
insert into search_row
    (generation_id, document_id, ordinal, chunk_set_id, tokens, vector, lexemes)
select %(generation_id)s, ready.document_id, chunk.ordinal, chunk.chunk_set_id, chunk.tokens,
    embedding.vector, to_tsvector(%(language)s::regconfig, chunk.context || chunk.text)
from ready
join chunk on chunk.chunk_set_id = ready.chunk_set_id
join embedding on embedding.namespace_id = %(namespace_id)s
    and embedding.model_id = %(model_id)s and embedding.embedded_hash = chunk.embedded_hash

-- name: publish_documents
-- Set what the generation serves, in the same transaction as the rows.
insert into publication
    (generation_id, document_id, version_id, chunk_set_id, chunk_count, run_id)
select %(generation_id)s, document_id, version_id, chunk_set_id, chunk_count, %(run_id)s
from ready
on conflict (generation_id, document_id) do update set
    version_id = excluded.version_id, chunk_set_id = excluded.chunk_set_id,
    chunk_count = excluded.chunk_count, published_at = now(), run_id = excluded.run_id
returning document_id, chunk_count

-- name: parity
-- What a generation serves, and what must never be: documents whose rows are not exactly those
-- of their publication, rows without a publication, deleted documents.
select
    count(distinct publication.document_id) as documents,
    coalesce(sum(publication.chunk_count), 0)::bigint as chunks_promised,
    coalesce(sum(served.rows), 0)::bigint as chunks_served,
    count(distinct publication.document_id) filter (
        where publication.chunk_count > 0
            and (served.rows, served.chunk_set_id)
                is distinct from (publication.chunk_count::bigint, publication.chunk_set_id)
    ) as broken_documents,
    coalesce(sum(served.rows) filter (where publication.document_id is null), 0)::bigint
        as orphan_rows,
    count(distinct publication.document_id) filter (where document.deleted_at is not null)
        as deleted_documents
from (select * from publication where generation_id = %(generation_id)s) as publication
full join (
    select document_id, chunk_set_id, count(*) as rows from search_row
    where generation_id = %(generation_id)s group by document_id, chunk_set_id
) as served on served.document_id = publication.document_id
left join document on document.id = publication.document_id

-- name: search
-- Dense and lexical lists of one collection's live generation, fused by reciprocal rank
-- (score = sum of 1 / (60 + rank)); the lexical list is BM25 (k1 = 1.5, b = 0.75), exact. A single
-- list keeps its own score: cosine similarity, or BM25. Filters narrow both lists before ranking;
-- the weights of words are those of the whole collection.
with scope as (
    select collection.live_generation_id as generation_id, collection.language
    from collection join namespace on namespace.id = collection.namespace_id
    where namespace.name = %(namespace)s and collection.name = %(collection)s
), permitted as (
    select publication.document_id
    from scope
    join publication on publication.generation_id = scope.generation_id
    join document on document.id = publication.document_id
    join document_version on document_version.id = publication.version_id
    join chunk_set on chunk_set.id = publication.chunk_set_id
    join parsed on parsed.id = chunk_set.parsed_id
    where %(is_filtered)s
        and (%(filenames)s::text[] is null
            or regexp_replace(document.uri, '^.*/', '') = any(%(filenames)s::text[]))
        and (%(media_types)s::text[] is null or parsed.media_type = any(%(media_types)s::text[]))
        and (%(modified_from)s::timestamptz is null
            or document_version.modified_at >= %(modified_from)s::timestamptz)
        and (%(modified_to)s::timestamptz is null
            or document_version.modified_at <= %(modified_to)s::timestamptz)
), dense as (
    select document_id, ordinal, similarity,
        row_number() over (order by similarity desc, document_id, ordinal) as rank
    from (
        select search_row.document_id, search_row.ordinal,
            1 - (search_row.vector <=> %(vector)s::halfvec) as similarity
        from search_row, scope
        where search_row.generation_id = scope.generation_id and %(use_dense)s
            and (not %(is_filtered)s
                or search_row.document_id in (select document_id from permitted))
        order by search_row.vector <=> %(vector)s::halfvec
        limit %(depth)s
    ) as nearest
), term as (
    select lexeme
    from scope, unnest(to_tsvector(scope.language, %(query)s)) as word (lexeme, positions, weights)
    where %(use_lexical)s
), any_term as (
    select string_agg(quote_literal(lexeme), ' | ')::tsquery as wanted from term
), corpus as (
    select count(*)::float8 as rows, greatest(avg(search_row.tokens), 1)::float8 as mean_tokens
    from search_row, scope
    where search_row.generation_id = scope.generation_id and %(use_lexical)s
), occurrence as (
    select search_row.document_id, search_row.ordinal, search_row.tokens, word.lexeme,
        coalesce(cardinality(word.positions), 1)::float8 as times
    from scope, any_term
    join search_row on search_row.lexemes @@ any_term.wanted
    cross join lateral unnest(search_row.lexemes) as word (lexeme, positions, weights)
    where search_row.generation_id = scope.generation_id
        and word.lexeme in (select lexeme from term)
), weight as (
    select lexeme, ln(1 + (corpus.rows - count(*) + 0.5) / (count(*) + 0.5)) as idf
    from occurrence, corpus group by lexeme, corpus.rows
), lexical as (
    select document_id, ordinal, bm25,
        row_number() over (order by bm25 desc, document_id, ordinal) as rank
    from (
        select occurrence.document_id, occurrence.ordinal,
            sum(weight.idf * occurrence.times * 2.5 / (occurrence.times
                + 1.5 * (0.25 + 0.75 * occurrence.tokens / corpus.mean_tokens))) as bm25
        from corpus, occurrence join weight on weight.lexeme = occurrence.lexeme
        where not %(is_filtered)s
            or occurrence.document_id in (select document_id from permitted)
        group by occurrence.document_id, occurrence.ordinal
        order by 3 desc
        limit %(depth)s
    ) as best
), scored as (
    select document_id, ordinal, dense.rank as dense_rank, lexical.rank as bm25_rank, similarity,
        bm25,
        case
            when not %(use_lexical)s then similarity
            when not %(use_dense)s then bm25
            else coalesce(1.0 / (60 + dense.rank), 0) + coalesce(1.0 / (60 + lexical.rank), 0)
        end as score
    from dense full outer join lexical using (document_id, ordinal)
), fused as (
    select * from scored
    where %(min_score)s::float8 is null or score >= %(min_score)s::float8
    order by score desc, document_id, ordinal
    limit %(limit)s
)
select
    fused.*, scope.generation_id, document.uri, parsed.title, chunk.text, chunk.headings,
    chunk.page_first, document_version.content_hash, publication.published_at
from scope
left join fused on true
left join document on document.id = fused.document_id
left join publication on publication.generation_id = scope.generation_id
    and publication.document_id = fused.document_id
left join document_version on document_version.id = publication.version_id
left join chunk on chunk.chunk_set_id = publication.chunk_set_id and chunk.ordinal = fused.ordinal
left join chunk_set on chunk_set.id = publication.chunk_set_id
left join parsed on parsed.id = chunk_set.parsed_id
order by fused.score desc nulls last, fused.document_id, fused.ordinal
