// How the whole stands: freshness, queue, failures, generations, runs, versions.

import { get } from "./api.js";
import { ago, byId, count, duration, element, failure, loading, notice, replace } from "./element.js";
import { badge } from "./documents.js";

let state;
let turn = 0;

export function start(shared) { state = shared; }

export async function show() {
	const mine = ++turn;
	const place = byId("system");
	if (!place.childElementCount) replace(place, loading("the system's state"));
	try {
		const found = await get("/system");
		if (mine === turn) draw(place, found);
	} catch (error) {
		if (mine === turn) replace(place, failure(error, state.refresh));
	}
}

function draw(place, found) {
	const { queue, service } = found;
	const failed = found.failures.reduce((sum, each) => sum + each.documents, 0);
	const name = (each) => `${each.namespace}/${each.collection}`;
	const none = "None.";
	replace(place,
		element("div", { class: "tiles" },
			tile("Waiting", count(queue.pending, "document"), queue.pending ? `the oldest for ${duration(queue.oldest_pending_s)}` : "everything is searchable"),
			tile("Noticed", count(queue.hints, "change"), "not looked at yet"),
			tile("Failed", count(failed, "document"), failed ? "reasons are below" : "none"),
			tile("Model", service.model_warm ? "warm" : service.model_error ? "not loaded" : "warming up", service.model_error ?? service.model)),
		part("Collections", ["Collection", "State", "Documents", "Passages", "Searchable since", "Source looked at", "Generation"],
			found.collections.map((each) => [each.collection, badge(each.state, each.state), each.documents.total, each.chunks,
				ago(each.freshness.published_at), ago(each.freshness.looked_at), each.live_generation ?? "none"]),
			notice("No collections", "Add files under Documents, or run rag collection create.")),
		part("Failures", ["Collection", "Code", "Stage", "Kind", "Documents", "Last", "Next try"],
			found.failures.map((each) => [name(each), element("code", {}, each.code), each.stage, each.kind, each.documents, ago(each.last_failed_at),
				each.next_retry_at ? ago(each.next_retry_at) : "by hand"]),
			none),
		part("Generations", ["Collection", "Generation", "State", "Documents", "Model", "Promoted"],
			found.generations.map((each) => [name(each), each.id, badge(each.state, each.state), each.documents, element("code", { title: each.model }, short(each.model)), ago(each.promoted_at)]),
			none),
		part("Versions", ["Part", "Version"], Object.entries(found.versions), ""));
}

const short = (text) => (text.length > 14 ? `${text.slice(0, 13)}…` : text);

const tile = (title, value, hint) =>
	element("div", { class: "tile" }, element("h2", {}, title), element("p", { class: "value" }, value), element("p", { class: "hint" }, hint));

function part(title, head, rows, empty) {
	const heading = element("h2", {}, title);
	if (!rows.length) return element("section", {}, heading, empty);
	const cells = (row) => row.map((value, index) => index
		? element("td", {}, typeof value === "number" ? value.toLocaleString("en") : value)
		: element("th", { scope: "row" }, value));
	return element("section", {}, heading, element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
		element("table", {}, element("thead", {}, element("tr", {}, head.map((text) => element("th", { scope: "col" }, text)))),
			element("tbody", {}, rows.map((row) => element("tr", {}, cells(row)))))));
}
