// Questions and answers: the answer as it is written, its citations, and what people say of it.

import { ApiError, post, raised } from "./api.js";
import { announce, button, byId, count, element, failure, hint, notice, replace, waiting } from "./element.js";
import { open } from "./passage.js";
import { events } from "./stream.js";

const TURNS = 6; // of the conversation, as context
const PASSAGES = 6;
let state;
let history = [];
let running = null;
let askedOf = "";

export function start(shared) {
	state = shared;
	const question = byId("question");
	byId("question-form").addEventListener("submit", (event) => { event.preventDefault(); ask(question.value); });
	question.addEventListener("keydown", (event) => {
		if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); ask(question.value); }
	});
	question.addEventListener("input", () => fit(question));
	byId("stop-button").addEventListener("click", stop);
	byId("new-thread").addEventListener("click", clear);
	addEventListener("keydown", (event) => { if (event.key === "Escape" && !document.querySelector("dialog[open]")) stop(); });
}

export function show(_state, { isNew = false } = {}) {
	if (isNew || (askedOf && askedOf !== state.collection)) clear();
	if (!byId("thread").childElementCount || byId("thread").querySelector(".welcome")) replace(byId("thread"), welcome());
	byId("ask-button").disabled = !state.collection;
}

function welcome() {
	if (state.error && state.error.status !== 401) return wrap(failure(state.error, state.refresh));
	if (!state.collection) {
		const link = element("a", { class: "button strong", href: "#/documents" }, "Add files");
		return wrap(notice("Nothing to ask yet", "Add files: their text answers questions.", link));
	}
	const found = state.collections.find((each) => each.collection === state.collection);
	const size = found ? `${count(found.documents.live + found.documents.partial, "searchable document")}, ${count(found.chunks, "passage")}.` : "";
	return wrap(notice(`Ask ${state.collection}`, `${size} Answers cite passages; open a citation to see it in its place.`));
}

const wrap = (child) => element("div", { class: "welcome" }, child);

function fit(area) {
	area.style.height = "auto";
	area.style.height = `${Math.min(area.scrollHeight + 2, 240)}px`;
}

function clear() {
	stop();
	history = [];
	askedOf = "";
	byId("new-thread").hidden = true;
	replace(byId("thread"), welcome());
}

const stop = () => running?.abort();

async function ask(text) {
	const question = text.trim();
	if (!question || running || !state.collection) return;
	byId("thread").querySelector(".welcome")?.remove();
	const turn = new Turn(question, state.collection);
	askedOf = state.collection;
	byId("thread").append(turn.root);
	byId("question").value = "";
	fit(byId("question"));
	turn.root.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
	running = new AbortController();
	busy(true);
	try {
		await stream(turn, running.signal);
	} catch (error) {
		if (error.name === "AbortError") turn.stopped();
		else turn.failed(error);
	}
	running = null;
	busy(false);
	byId("new-thread").hidden = false;
}

function busy(is) {
	byId("ask-button").hidden = is;
	byId("stop-button").hidden = !is;
}

async function stream(turn, signal) {
	const body = { query: turn.question, collection: turn.collection, k: PASSAGES, history: history.slice(-TURNS), stream: true };
	const response = await post("/rag", body, { signal });
	for await (const { event, data } of events(response)) {
		if (event === "passages") turn.found(data);
		else if (event === "delta") turn.write(data.text);
		else if (event === "error") throw raised(0, data);
		else if (event === "done") {
			turn.done(data);
			history.push({ role: "user", content: turn.question }, { role: "assistant", content: data.answer });
			return;
		}
	}
	throw new ApiError(0, { code: "cut", message: "The answer was cut off: ask again." });
}

class Turn {
	constructor(question, collection) {
		Object.assign(this, { question, collection, text: "", hits: [], citations: [] });
		this.answer = element("div", { class: "answer", "aria-busy": "true" }, waiting("Searching"));
		this.foot = element("div", { class: "foot" });
		this.side = element("aside", { class: "sources", "aria-label": "Passages found" });
		this.root = element("article", { class: "turn", "aria-label": question },
			element("h2", { class: "asked" }, question), element("div", { class: "said" }, this.answer, this.foot), this.side);
	}

	found(data) {
		this.queryId = data.query_id;
		this.hits = data.hits.map((hit, index) => ({ ...hit, number: index + 1 }));
		this.drawSources();
		if (!this.text) replace(this.answer, waiting(`Reading ${count(this.hits.length, "passage")}`));
	}

	write(text) {
		this.text += text;
		this.drawAnswer();
	}

	done(data) {
		this.queryId = data.query_id;
		this.text = data.answer;
		this.citations = data.citations;
		this.answer.classList.toggle("unknown", !data.is_answered);
		this.end();
		this.drawSources();
		const cited = data.citations.length ? `${count(data.citations.length, "citation")}` : "no citations";
		announce(data.is_answered ? `Answer ready, ${cited}.` : `No answer found. ${data.answer}`);
		const by = data.model ? `Written by ${data.model}` : "Made of the best sentences, without a language model";
		const meta = element("p", { class: "hint" }, `${by}; ${cited}, ${(data.latency_ms / 1000).toFixed(1)} s.`);
		const dropped = data.dropped?.length;
		if (dropped) meta.append(` Left out: ${count(dropped, "piece")} without a passage.`);
		replace(this.foot, meta, new Opinion(this).root);
	}

	failed(error) {
		this.end();
		replace(this.foot, failure(error, () => { this.root.remove(); ask(this.question); }));
	}

	stopped() {
		this.end();
		replace(this.foot, element("p", { class: "hint" }, "Stopped."));
		announce("Stopped.");
	}

	end() {
		this.answer.removeAttribute("aria-busy");
		if (this.text) this.drawAnswer();
		else replace(this.answer);
	}

	drawAnswer() {
		const blocks = this.text.split(/\n{2,}/).filter((block) => block.trim());
		replace(this.answer, blocks.map((block) => this.block(block)));
	}

	block(text) {
		const lines = text.split("\n").filter((line) => line.trim());
		const isList = lines.length > 0 && lines.every((line) => /^\s*(?:[-*•]|\d+[.)])\s/.test(line));
		if (!isList) return element("p", {}, this.inline(text));
		const name = /^\s*\d/.test(lines[0]) ? "ol" : "ul";
		return element(name, {}, lines.map((line) => element("li", {}, this.inline(line.replace(/^\s*\S+\s+/, "")))));
	}

	inline(text) {
		return text.split(/(\[\d{1,3}\]|\*\*[^*]+\*\*)/).map((part) => {
			const cited = part.match(/^\[(\d+)\]$/);
			if (cited && this.source(Number(cited[1]))) return this.marker(Number(cited[1]));
			return /^\*\*[^*]+\*\*$/.test(part) ? element("strong", {}, part.slice(2, -2)) : part;
		});
	}

	source(number) {
		return this.citations.find((each) => each.number === number) ?? this.hits.find((each) => each.number === number);
	}

	marker(number) {
		const source = this.source(number);
		return button(String(number), () => this.show(source), {
			class: "cite", "aria-label": `Citation ${number}: ${source.title ?? source.document}`, title: source.title ?? source.document,
		});
	}

	show(source) {
		open(source, { onRight: this.queryId ? () => this.opinion?.expect(source) : null });
	}

	drawSources() {
		const cited = new Set(this.citations.map((each) => each.number));
		const all = this.hits.length ? this.hits : this.citations;
		const known = all.map((hit) => ({ ...hit, ...this.citations.find((each) => each.number === hit.number) }));
		const sorted = [...known.filter((each) => cited.has(each.number)), ...known.filter((each) => !cited.has(each.number))];
		if (!sorted.length) return replace(this.side);
		replace(this.side, element("h3", {}, cited.size ? "Sources" : "Passages found"),
			element("ol", {}, sorted.map((each) => this.card(each, cited.has(each.number)))));
	}

	card(source, isCited) {
		const where = [source.title ? source.document : "", source.page ? `page ${source.page}` : "", source.heading].filter(Boolean).join(" · ");
		return element("li", { class: isCited ? "source cited" : "source" },
			element("button", { type: "button", onclick: () => this.show(source) },
				element("span", { class: "number" }, String(source.number)),
				element("span", { class: "what" },
					element("strong", {}, source.title ?? source.document),
					hint(where),
					element("span", { class: "quote" }, source.text))));
	}
}

class Opinion {
	constructor(turn) {
		this.turn = turn;
		turn.opinion = this;
		this.up = button("Helpful", () => this.judge("up"), { "aria-pressed": "false", class: "thumb" });
		this.down = button("Not helpful", () => this.judge("down"), { "aria-pressed": "false", class: "thumb" });
		this.more = element("form", { class: "opinion", hidden: true, onsubmit: (event) => { event.preventDefault(); this.send(); } });
		this.comment = element("textarea", { rows: 2, maxlength: 4000 });
		this.right = element("select", {}, element("option", { value: "" }, "I do not know"),
			turn.hits.map((hit) => element("option", { value: hit.number }, `${hit.number} · ${hit.title ?? hit.document}${hit.page ? `, page ${hit.page}` : ""}`)),
			element("option", { value: "other" }, "Another document…"));
		this.other = element("label", { hidden: true }, "Its file name or address ", this.name = element("input", { maxlength: 2000 }));
		this.right.addEventListener("change", () => { this.other.hidden = this.right.value !== "other"; });
		this.more.append(element("label", {}, "Comment ", this.comment), element("label", {}, "The right passage is ", this.right), this.other,
			element("div", { class: "row" }, element("button", { type: "submit", class: "strong" }, "Send")));
		this.note = element("p", { class: "hint", role: "status" });
		this.root = element("div", { class: "feedback" },
			element("div", { class: "row", role: "group", "aria-label": "Was this answer helpful?" }, this.up, this.down), this.more, this.note);
	}

	async judge(thumb) {
		this.thumb = thumb;
		this.up.setAttribute("aria-pressed", String(thumb === "up"));
		this.down.setAttribute("aria-pressed", String(thumb === "down"));
		this.more.hidden = false;
		if (thumb === "down") this.comment.focus();
		else await this.send({ isShort: true });
	}

	expect(source) {
		this.thumb ??= "down";
		this.right.value = String(source.number);
		this.more.hidden = false;
		this.send();
	}

	said() {
		const said = { query_id: this.turn.queryId, thumb: this.thumb };
		if (this.comment.value.trim()) said.comment = this.comment.value.trim();
		if (this.right.value === "other") said.document = this.name.value.trim() || undefined;
		else if (this.right.value) {
			const hit = this.turn.source(Number(this.right.value));
			Object.assign(said, { document: hit.uri, ordinal: hit.ordinal });
		}
		return said;
	}

	async send({ isShort = false } = {}) {
		try {
			await post("/feedback", this.said());
			this.note.textContent = isShort ? "Thank you. You can add a comment." : "Thank you.";
			if (!isShort) this.more.hidden = true;
		} catch (error) {
			this.note.textContent = error.message;
		}
	}
}
