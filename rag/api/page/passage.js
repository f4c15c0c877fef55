// A passage in its place: marked on its page's picture, or within the text around it.

import { get, image } from "./api.js";
import { button, byId, element, failure, loading, replace } from "./element.js";

let shown = null; // the passage as the API gave it
let page = 0;
let mode = "page";
let onRight = null;
let turn = 0; // what arrives late is dropped
let picture = "";

export function start() {
	byId("show-page").addEventListener("click", () => choose("page"));
	byId("show-text").addEventListener("click", () => choose("text"));
	byId("passage-back").addEventListener("click", () => move(-1));
	byId("passage-on").addEventListener("click", () => move(1));
	byId("passage").addEventListener("keydown", (event) => {
		if (event.target.closest("input, textarea, select")) return;
		if (event.key === "ArrowLeft") move(-1);
		if (event.key === "ArrowRight") move(1);
	});
	byId("passage").addEventListener("close", forget);
}

export async function open(source, { onRight: right = null } = {}) {
	onRight = right;
	byId("passage-title").textContent = source.title ?? source.document;
	byId("passage-where").textContent = source.document;
	replace(byId("passage-foot"));
	if (!byId("passage").open) byId("passage").showModal();
	byId("passage-title").focus();
	await load(source.document_id, source.ordinal ?? 0);
}

async function load(documentId, ordinal) {
	const mine = ++turn;
	replace(byId("passage-body"), loading("the passage"));
	try {
		const found = await get(`/documents/${documentId}/passage`, { ordinal });
		if (mine !== turn) return;
		shown = found;
		page = found.page_first ?? 0;
		mode = found.has_pages && mode === "page" ? "page" : "text";
		draw();
	} catch (error) {
		if (mine === turn) replace(byId("passage-body"), failure(error, () => load(documentId, ordinal)));
	}
}

function choose(value) {
	if (!shown) return;
	mode = value;
	draw();
}

function move(step) {
	if (!shown) return;
	if (mode === "page") {
		const next = page + step;
		if (next < 1 || next > shown.pages) return;
		page = next;
		draw();
	} else if (shown.ordinal + step >= 0 && shown.ordinal + step < shown.ordinals) {
		load(shown.document_id, shown.ordinal + step);
	}
}

function draw() {
	byId("passage-title").textContent = shown.title ?? shown.document;
	const parts = [shown.document, ...shown.headings, `passage ${shown.ordinal + 1} of ${shown.ordinals}`];
	if (shown.page_first) parts.splice(1, 0, mode === "page" ? `page ${page} of ${shown.pages}` : `page ${shown.page_first}`);
	byId("passage-where").textContent = parts.join(" · ");
	byId("show-page").hidden = byId("show-text").hidden = !shown.has_pages;
	byId("show-page").setAttribute("aria-pressed", String(mode === "page"));
	byId("show-text").setAttribute("aria-pressed", String(mode === "text"));
	const [at, first, last] = mode === "page" ? [page, 1, shown.pages] : [shown.ordinal, 0, shown.ordinals - 1];
	byId("passage-back").disabled = at <= first;
	byId("passage-on").disabled = at >= last;
	foot();
	if (mode === "page") drawPage();
	else drawText();
}

function foot() {
	const right = onRight;
	replace(byId("passage-foot"), right && button("This is the right passage", () => { right(); byId("passage").close(); }),
		element("span", { class: "hint address" }, shown.uri));
}

async function drawPage() {
	const mine = ++turn;
	const body = byId("passage-body");
	replace(body, loading(`page ${page}`));
	try {
		const { url, mark } = await image(`/documents/${shown.document_id}/pages/${page}.png?ordinal=${shown.ordinal}`);
		if (mine !== turn) return URL.revokeObjectURL(url);
		if (picture) URL.revokeObjectURL(picture);
		picture = url;
		const isCited = page >= shown.page_first && page <= (shown.page_last ?? shown.page_first);
		const alt = `Page ${page} of ${shown.document}${isCited ? `, with the passage marked: ${shown.passage}` : ""}`;
		const sheet = element("img", { src: url, alt, class: "sheet" });
		replace(body, sheet);
		await sheet.decode();
		body.scrollTop = mark * sheet.height - 60;
	} catch (error) {
		if (mine !== turn) return;
		if (error.code !== "page_not_shown") return replace(body, failure(error, drawPage));
		mode = "text";
		draw();
		body.prepend(element("p", { class: "hint" }, "The page can not be drawn: this is its text."));
	}
}

function drawText() {
	turn += 1;
	const mark = element("mark", {}, shown.passage);
	replace(byId("passage-body"), element("div", { class: "text" },
		shown.is_cut_before ? "… " : "", shown.before, mark, shown.after, shown.is_cut_after ? " …" : ""));
	mark.scrollIntoView({ block: "center" });
}

function forget() {
	turn += 1;
	shown = null;
	mode = "page";
	if (picture) URL.revokeObjectURL(picture);
	picture = "";
}
