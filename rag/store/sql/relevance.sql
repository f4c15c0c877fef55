-- name: similarities
-- Cosine similarity of some passages of a generation to a question.
select search_row.document_id, search_row.ordinal,
    1 - (search_row.vector <=> %(vector)b::halfvec) as similarity
from unnest(%(documents)s::bigint[], %(ordinals)s::int[]) as wanted (document_id, ordinal)
join generation on generation.id = %(generation_id)s
join search_row on search_row.home = generation.home and search_row.generation_id = generation.id
    and search_row.document_id = wanted.document_id and search_row.ordinal = wanted.ordinal
