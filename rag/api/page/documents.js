// The documents of a collection: state, stage, failures, retry.

import { get, post } from "./api.js";
import { ago, announce, button, byId, count, element, failure, hint, loading, notice, replace } from "./element.js";
import { open } from "./passage.js";
import * as upload from "./upload.js";

export const STATES = { live: "Searchable", partial: "Partly read", pending: "In progress", failed: "Failed" };
const COLLECTION = {
	current: "Up to date", behind: "Catching up", building: "Being built", empty: "Empty", held: "Deletions held back",
};
const LOOK_MS = 4000;
let state;
let next = null;
let turn = 0;
let timer = 0;

export function start(shared) {
	state = shared;
	upload.start(shared, () => { state.refresh(); });
	let typing = 0;
	byId("filter-words").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(list, 250); });
	byId("filter-state").addEventListener("change", () => list());
	byId("document-filter").addEventListener("submit", (event) => { event.preventDefault(); list(); });
	byId("more-documents").addEventListener("click", more);
	byId("retry-all").addEventListener("click", (event) => retry(event.target, null));
}

export function show() {
	upload.show();
	summary();
	list();
}

const current = () => state.collections.find((each) => each.collection === state.collection);

function summary() {
	const found = current();
	byId("retry-all").hidden = !found?.failures;
	if (!found) return replace(byId("collection-summary"));
	const { documents: counts, freshness } = found;
	const parts = [`${count(counts.total, "document")}`, `${count(found.chunks, "passage")}`];
	if (counts.pending) parts.push(`${counts.pending} in progress`);
	if (counts.failed) parts.push(`${counts.failed} failed`);
	if (counts.partial) parts.push(`${counts.partial} partly read`);
	replace(byId("collection-summary"), element("p", {}, badge(found.state, COLLECTION[found.state]), ` ${parts.join(", ")}. Last change searchable `,
		ago(freshness.published_at), "."), found.deletions_held ? element("p", { class: "hint" },
		`${count(found.deletions_held, "deletion")} held back: rag confirm-deletions ${found.collection} lets them through.`) : null);
}

export const badge = (kind, text) => element("span", { class: `badge ${kind}` }, text);

const query = (after = null) =>
	get("/documents", { collection: state.collection, state: byId("filter-state").value, q: byId("filter-words").value.trim(), after });

async function list({ isQuiet = false } = {}) {
	const mine = ++turn;
	clearTimeout(timer);
	const place = byId("documents");
	if (state.error && state.error.status !== 401) return replace(place, failure(state.error, state.refresh));
	if (!state.collection) {
		byId("more-documents").hidden = true;
		return replace(place, notice("No collection yet", "Name one above and add files."));
	}
	if (!isQuiet && !place.querySelector("table")) replace(place, loading("documents"));
	try {
		const found = await query();
		if (mine !== turn) return;
		draw(found);
		if (!isQuiet) announce(`${count(found.documents.length, "document")} shown.`);
		follow(found);
	} catch (error) {
		if (mine === turn) replace(place, failure(error, list));
	}
}

// look again while something is under way
function follow(found) {
	if (!found.documents.some((each) => each.state === "pending") || state.view !== "documents") return;
	timer = setTimeout(() => {
		if (document.hidden || byId("documents").contains(document.activeElement)) follow(found);
		else state.refresh();
	}, LOOK_MS);
}

function draw(found) {
	next = found.next;
	byId("more-documents").hidden = next === null;
	if (!found.documents.length) {
		const isFiltered = byId("filter-words").value || byId("filter-state").value;
		return replace(byId("documents"), isFiltered
			? notice("Nothing matches", "Change words or state.")
			: notice("No documents yet", "Drop files above; the next look at the source finds them."));
	}
	const head = ["Document", "State", "Pages", "Passages", "Searchable since", ""].map((text) =>
		element("th", { scope: "col" }, text || element("span", { class: "unseen" }, "Actions")));
	replace(byId("documents"), element("table", { class: "list" }, element("caption", { class: "unseen" }, `Documents of ${state.collection}`),
		element("thead", {}, element("tr", {}, head)), element("tbody", {}, found.documents.map(row))));
}

async function more() {
	const mine = turn;
	const place = byId("documents");
	place.querySelector(".notice")?.remove();
	try {
		const found = await query(next);
		if (mine !== turn) return;
		next = found.next;
		byId("more-documents").hidden = next === null;
		const rows = found.documents.map(row);
		place.querySelector("tbody").append(...rows);
		rows[0]?.querySelector("button")?.focus();
	} catch (error) {
		if (mine === turn) place.append(failure(error, more));
	}
}

function row(each) {
	const name = element("th", { scope: "row" }, element("strong", {}, each.title ?? each.document), element("span", { class: "hint address", title: each.uri }, each.document));
	if (each.failure) {
		const served = each.is_searchable ? " Its last good version stays searchable." : "";
		name.append(element("span", { class: "reason" }, `${each.failure.reason} `, element("code", {}, each.failure.code), served));
	}
	const said = { failed: "while ", pending: "last step: " }[each.state];
	const stage = said && hint(said + (upload.STAGES[each.stage] ?? each.stage));
	const actions = element("td", { class: "actions" });
	if (each.is_searchable && each.chunks) actions.append(button("Open", () => open(each), { "aria-label": `Open ${each.document}` }));
	if (each.state === "failed") actions.append(button("Retry", (event) => retry(event.target, each), { "aria-label": `Retry ${each.document}` }));
	const cell = (label, value) => element("td", { "data-label": label, class: value === "" ? "void" : null }, value);
	return element("tr", {}, name, element("td", {}, badge(each.state, STATES[each.state]), stage),
		cell("Pages", each.pages === null ? "" : String(each.pages)), cell("Passages", each.chunks === null ? "" : String(each.chunks)),
		cell("Searchable since", each.published_at ? ago(each.published_at) : ""), actions);
}

async function retry(from, each) {
	from.disabled = true;
	try {
		const body = { collection: state.collection };
		if (each) body.document_id = each.document_id;
		const { due } = await (await post("/documents/retry", body)).json();
		announce(`${count(due, "document")} will be tried again.`);
		from.textContent = "Tried again soon";
		setTimeout(state.refresh, 1500);
	} catch (error) {
		from.disabled = false;
		announce(error.message);
		from.after(element("span", { class: "reason" }, error.message));
	}
}
