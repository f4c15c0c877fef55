// The frame: views, the collection in use, the key, shortcuts.

import { get, key, onUnauthenticated } from "./api.js";
import { announce, byId, element, replace } from "./element.js";
import * as ask from "./ask.js";
import * as documents from "./documents.js";
import * as passage from "./passage.js";
import * as system from "./system.js";

const VIEWS = { ask, documents, system };
const TITLES = { ask: "Ask", documents: "Documents", system: "System" };
const state = { view: "", collection: localStorage.getItem("rag-collection") ?? "", collections: [], refresh };

function show() {
	const name = location.hash.replace("#/", "");
	const view = name in VIEWS ? name : "ask";
	for (const each of Object.keys(VIEWS)) byId(`view-${each}`).hidden = each !== view;
	for (const link of document.querySelectorAll("nav a")) {
		if (link.hash === `#/${view}`) link.setAttribute("aria-current", "page");
		else link.removeAttribute("aria-current");
	}
	const moved = state.view && state.view !== view;
	state.view = view;
	document.title = `${TITLES[view]} · rag-assets`;
	VIEWS[view].show(state);
	if (moved) byId(`title-${view}`).focus();
}

async function refresh() {
	try {
		state.collections = (await get("/collections")).collections;
		state.error = null;
		say("");
	} catch (error) {
		state.collections = [];
		state.error = error;
		if (error.status !== 401) say(error.message);
	}
	const names = state.collections.map((each) => each.collection);
	if (!names.includes(state.collection)) state.collection = names[0] ?? "";
	const options = names.map((name) => element("option", { value: name, selected: name === state.collection }, name));
	const select = byId("collection");
	replace(select, options.length ? options : element("option", {}, "none yet"));
	select.disabled = !names.length;
	VIEWS[state.view]?.show(state);
}

export function choose(name) {
	state.collection = name;
	localStorage.setItem("rag-collection", name);
}

function say(text) {
	byId("banner").textContent = text;
	byId("banner").hidden = !text;
}

function openDialog(id) {
	if (!byId(id).open) byId(id).showModal();
}

function needKey(error) {
	byId("key-hint").textContent = key.get() ? `That key does not open this service. ${error.message}` : error.message;
	openDialog("key");
}

function useKey(value) {
	key.set(value.trim());
	byId("key-input").value = "";
	byId("key").close();
	announce(value ? "The key is in use." : "The key is forgotten.");
	refresh();
}

const SHORTCUTS = {
	"/": () => { location.hash = "#/ask"; setTimeout(() => byId("question").focus()); },
	1: () => { location.hash = "#/ask"; },
	2: () => { location.hash = "#/documents"; },
	3: () => { location.hash = "#/system"; },
	u: () => { location.hash = "#/documents"; setTimeout(() => byId("upload-files").focus()); },
	"?": () => openDialog("shortcuts"),
};

function pressed(event) {
	if (event.ctrlKey || event.metaKey || event.altKey || !byId("shortcuts-on").checked) return;
	if (event.target.closest("input, textarea, select, dialog")) return;
	const action = SHORTCUTS[event.key];
	if (!action) return;
	event.preventDefault();
	action();
}

function start() {
	for (const view of Object.values(VIEWS)) view.start(state);
	passage.start();
	byId("collection").addEventListener("change", (event) => {
		choose(event.target.value);
		VIEWS[state.view].show(state, { isNew: true });
	});
	byId("open-key").addEventListener("click", () => openDialog("key"));
	byId("open-shortcuts").addEventListener("click", () => openDialog("shortcuts"));
	byId("key-forget").addEventListener("click", () => useKey(""));
	byId("key-form").addEventListener("submit", (event) => { event.preventDefault(); useKey(byId("key-input").value); });
	byId("shortcuts-on").checked = localStorage.getItem("rag-shortcuts") !== "off";
	byId("shortcuts-on").addEventListener("change", (event) =>
		localStorage.setItem("rag-shortcuts", event.target.checked ? "on" : "off"));
	for (const each of document.querySelectorAll("[data-close]")) {
		each.addEventListener("click", () => each.closest("dialog").close());
	}
	onUnauthenticated(needKey);
	addEventListener("keydown", pressed);
	addEventListener("hashchange", show);
	show();
	refresh();
}

start();
