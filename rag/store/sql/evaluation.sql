-- name: create_dataset
-- A new dataset; no row when the name is taken.
insert into dataset (collection_id, name, is_synthetic, digest)
values (%(collection_id)s, %(name)s, %(is_synthetic)s, %(digest)s)
on conflict (collection_id, name) do nothing
returning id

-- name: insert_item
-- One question of a dataset.
insert into dataset_item
    (dataset_id, key, question, answer, topic, relevant, metadata, document_id)
values (%(dataset_id)s, %(key)s, %(question)s, %(answer)s, %(topic)s, %(relevant)s, %(metadata)s,
    %(document_id)s)

-- name: datasets
-- The datasets of a collection, oldest first.
select dataset.id, dataset.name, dataset.is_synthetic, encode(dataset.digest, 'hex') as digest,
    dataset.created_at,
    (select count(*) from dataset_item where dataset_item.dataset_id = dataset.id) as items,
    (select count(*) from experiment where experiment.dataset_id = dataset.id) as experiments
from dataset where dataset.collection_id = %(collection_id)s
order by dataset.id

-- name: drop_dataset
-- A dataset with its experiments.
delete from dataset where collection_id = %(collection_id)s and name = %(name)s returning id

-- name: items
-- The questions of a dataset, in the order they came.
select id, key, question, answer, topic, relevant, metadata, document_id
from dataset_item where dataset_id = %(dataset_id)s order by id

-- name: passages_to_ask
-- Some served passages of a collection, no two of one document before each has one, the same ones
-- each time.
select document_id, uri, ordinal, text from (
    select document.id as document_id, document.uri, chunk.ordinal, chunk.text,
        row_number() over (partition by document.id order by md5(chunk.ordinal::text)) as turn
    from collection
    join publication on publication.generation_id = collection.live_generation_id
    join document on document.id = publication.document_id
    join chunk on chunk.chunk_set_id = publication.chunk_set_id
    where collection.id = %(collection_id)s and length(chunk.text) >= 80
) as passage
order by turn, md5(document_id::text || '-' || ordinal::text) limit %(limit)s

-- name: start_experiment
-- A new experiment.
insert into experiment (dataset_id, generation_id, name, settings, digest)
select %(dataset_id)s, %(generation_id)s, %(name)s, %(settings)s, dataset.digest
from dataset where dataset.id = %(dataset_id)s
returning id

-- name: find_experiment
-- One experiment of a collection by name.
select experiment.id, experiment.dataset_id, experiment.generation_id, experiment.name,
    experiment.settings, experiment.digest = dataset.digest as is_same_dataset,
    experiment.finished_at, dataset.name as dataset
from experiment join dataset on dataset.id = experiment.dataset_id
where experiment.name = %(name)s and dataset.collection_id = %(collection_id)s

-- name: experiments
-- The experiments of a collection, newest first, with their means (failed scores left out).
select experiment.id, experiment.name, dataset.name as dataset, dataset.is_synthetic,
    experiment.generation_id, experiment.settings, experiment.created_at, experiment.finished_at,
    (select count(*) from experiment_result
     where experiment_result.experiment_id = experiment.id) as done,
    (select count(*) from dataset_item
     where dataset_item.dataset_id = experiment.dataset_id) as items,
    coalesce((select jsonb_object_agg(metric, mean) from (
        select metric, avg(value) as mean from score
        where score.experiment_id = experiment.id and value <> -1 group by metric) as means),
        '{}') as means
from experiment join dataset on dataset.id = experiment.dataset_id
where dataset.collection_id = %(collection_id)s
order by experiment.id desc limit %(limit)s

-- name: done_items
-- What an experiment has done already.
select item_id from experiment_result where experiment_id = %(experiment_id)s

-- name: record_result
-- What one question found and what was answered; a repeat changes nothing.
insert into experiment_result
    (experiment_id, item_id, hits, document_ids, answer, error, latency_ms)
values (%(experiment_id)s, %(item_id)s, %(hits)s, %(document_ids)s, %(answer)s, %(error)s,
    %(latency_ms)s)
on conflict (experiment_id, item_id) do nothing

-- name: record_score
-- One metric of one result.
insert into score (experiment_id, item_id, metric, value, reason)
values (%(experiment_id)s, %(item_id)s, %(metric)s, %(value)s, %(reason)s)
on conflict (experiment_id, item_id, metric) do nothing

-- name: take_score
-- A score that was given elsewhere, where it is new or differs: whoever gave it has the last word.
insert into score (experiment_id, item_id, metric, value, reason)
select experiment_result.experiment_id, dataset_item.id, %(metric)s, %(value)s, %(reason)s
from experiment_result join dataset_item on dataset_item.id = experiment_result.item_id
where experiment_result.experiment_id = %(experiment_id)s and dataset_item.key = %(key)s
on conflict (experiment_id, item_id, metric) do update
    set value = excluded.value, reason = excluded.reason
    where score.value is distinct from excluded.value
returning item_id

-- name: finish_experiment
-- Every question is done.
update experiment set finished_at = now() where id = %(experiment_id)s

-- name: results
-- What an experiment found, question by question, with its scores.
select dataset_item.id as item_id, dataset_item.key, dataset_item.topic, dataset_item.question,
    dataset_item.answer as expected, experiment_result.answer, experiment_result.error,
    experiment_result.hits, experiment_result.latency_ms,
    coalesce((select jsonb_object_agg(metric, value) from score
        where score.experiment_id = experiment_result.experiment_id
            and score.item_id = experiment_result.item_id), '{}') as scores,
    coalesce((select jsonb_object_agg(metric, reason) from score
        where score.experiment_id = experiment_result.experiment_id
            and score.item_id = experiment_result.item_id and reason is not null), '{}') as reasons
from experiment_result
join dataset_item on dataset_item.id = experiment_result.item_id
where experiment_result.experiment_id = %(experiment_id)s
order by dataset_item.id
