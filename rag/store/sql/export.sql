-- name: served_texts
-- What a collection serves now, a row per document, by name. The title is left off where the text
-- begins with it as a heading.
select
    coalesce(parsed.title, '') as title, document.uri,
    case
        when parsed.blocks -> 0 ->> 0 = 'heading' and parsed.title <> ''
            and starts_with(parsed.text, parsed.title || E'\n\n')
        then substr(parsed.text, length(parsed.title) + 3)
        else parsed.text
    end as text
from collection
join publication on publication.generation_id = collection.live_generation_id
join document on document.id = publication.document_id
join chunk_set on chunk_set.id = publication.chunk_set_id
join parsed on parsed.id = chunk_set.parsed_id
where collection.id = %(collection_id)s
order by document.uri
