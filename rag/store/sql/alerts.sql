-- name: position
-- How far a reader has read the event log; the row is held until the transaction ends.
select position from event_position where reader = %(reader)s for update

-- name: move_position
-- Read so far.
insert into event_position (reader, position) values (%(reader)s, %(position)s)
on conflict (reader) do update set position = excluded.position

-- name: lock_incidents
-- Writers of incidents take turns.
select pg_advisory_xact_lock(hashtextextended('rag incidents', 0))

-- name: newest_incident
-- What is known under a key.
select id, key, kind, collection, severity, title, detail, signals, opened_at, seen_at, closed_at
from incident where key = %(key)s order by id desc limit 1

-- name: open_incident
-- A new one.
insert into incident (
    key, kind, collection, severity, title, detail, signals, opened_at, seen_at, closed_at)
values (
    %(key)s, %(kind)s, %(collection)s, %(severity)s, %(title)s, %(detail)s, %(signals)s,
    %(opened_at)s, %(seen_at)s, %(closed_at)s)

-- name: update_incident
-- How it stands now.
update incident set
    severity = %(severity)s, title = %(title)s, detail = %(detail)s, signals = %(signals)s,
    seen_at = %(seen_at)s, closed_at = %(closed_at)s
where id = %(id)s

-- name: incidents
-- The newest incidents, the open ones first; of one collection, when it is named.
select id, key, kind, collection, severity, title, detail, signals, opened_at, seen_at, closed_at
from incident
where (%(open_only)s = false or closed_at is null)
    and (%(collection)s::text is null or collection = %(collection)s)
    and (%(kinds)s::text[] is null or kind = any(%(kinds)s))
order by closed_at is not null, id desc limit %(limit)s

-- name: incidents_to_tell
-- Incidents that may be news: open, or closed in the last week.
select id, key, kind, collection, severity, title, detail, signals, opened_at, seen_at, closed_at
from incident where closed_at is null or closed_at > %(now)s - interval '7 days' order by id

-- name: last_notices
-- The last notice of these incidents on each route.
select distinct on (incident_id, route) incident_id, route, event, severity, made_at as at,
    sent_at is null and given_up_at is null as is_waiting
from notice where incident_id = any(%(incidents)s)
order by incident_id, route, id desc

-- name: make_notice
-- A message to one route, as the incident stands now.
insert into notice (
    incident_id, route, event, severity, title, detail, signals, made_at, due_at)
values (
    %(incident_id)s, %(route)s, %(event)s, %(severity)s, %(title)s, %(detail)s, %(signals)s,
    %(now)s, %(now)s)

-- name: waiting_notice
-- The oldest message that is due, unless another process has it in hand.
select id, attempts from notice
where sent_at is null and given_up_at is null and due_at <= %(now)s
order by id limit 1 for update skip locked

-- name: count_attempt
-- A try is counted before it is made: a process that dies in it leaves the notice due later.
update notice set attempts = attempts + 1, due_at = %(due_at)s
from incident where notice.id = %(id)s and incident.id = notice.incident_id
returning notice.id, notice.incident_id, notice.route, notice.event, notice.severity,
    notice.title, notice.detail, notice.signals, notice.made_at, notice.attempts,
    incident.key, incident.kind, incident.collection, incident.opened_at

-- name: notice_sent
-- It is delivered.
update notice set sent_at = clock_timestamp(), error = null where id = %(id)s

-- name: notice_failed
-- Why it was not delivered; given up when it was tried often enough.
update notice set error = %(error)s,
    given_up_at = case when %(is_given_up)s then clock_timestamp() end
where id = %(id)s

-- name: outbox
-- What waits for delivery or was given up, by route.
select route, count(*) filter (where given_up_at is null) as waiting,
    count(*) filter (where given_up_at is not null) as given_up, max(error) as error
from notice where sent_at is null group by route order by route

-- name: dead_letter_growth
-- Collections with so many new dead letters within the last hour, and how many.
select namespace.name || '/' || collection.name as collection, count(*) as letters
from dead_letter
join document on document.id = dead_letter.document_id
join collection on collection.id = document.collection_id
join namespace on namespace.id = collection.namespace_id
where dead_letter.resolved_at is null
    and dead_letter.first_failed_at > %(now)s - interval '1 hour'
group by 1 having count(*) >= %(least)s order by 1
