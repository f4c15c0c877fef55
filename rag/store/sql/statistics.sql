-- name: flush
-- Make this session's own changes count in the statistics now.
select pg_stat_force_next_flush()

-- name: stale_tables
-- Tables of ours whose statistics are out of date: half as many rows again, where autovacuum waits
-- for a tenth. A load asks after every batch, and a plan does not turn on less; of a few hundred rows
-- a plan made blindly may take the product.
select relname as name from pg_stat_user_tables
where schemaname = current_schema() and n_mod_since_analyze > 100 + 0.5 * n_live_tup
order by 1
