-- name: home
-- Where a generation's search rows live, held still until this transaction ends.
select home from generation where id = %(generation_id)s for share

-- name: size
-- Where a generation's search rows live, and how many there are.
select generation.home, (
    select coalesce(sum(chunk_count), 0)::bigint from publication
    where publication.generation_id = generation.id) as rows
from generation where generation.id = %(generation_id)s

-- name: lock_generation
-- Publishers wait, and those who publish are waited for.
select home from generation where id = %(generation_id)s for no key update

-- name: move_home
-- From now on the generation has a partition of its own.
update generation set home = id where id = %(generation_id)s

-- name: move_rows
-- Its rows move there: one who deletes them meanwhile is waited for, or waits.
update search_row set home = %(generation_id)s where generation_id = %(generation_id)s and home = 0

-- name: vector_dimension
-- How long the vectors of a generation are; none, no row.
select vector_dims(vector) as dimension from search_row
where generation_id = %(generation_id)s and home = %(generation_id)s limit 1

-- name: index_state
-- Whether a partition's vector index exists, and whether it is whole.
select pg_index.indisvalid as is_valid
from pg_index where pg_index.indexrelid = to_regclass(%(index)s)

-- name: unused_partitions
-- Partitions whose generation is gone.
select partition.relname as name
from pg_inherits
join pg_class as partition on partition.oid = pg_inherits.inhrelid
where pg_inherits.inhparent = 'search_row'::regclass and partition.relname ~ '^search_row_[0-9]+$'
    and not exists (
        select from generation
        where generation.id = substring(partition.relname from '[0-9]+$')::bigint)
