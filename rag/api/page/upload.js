// Files into a collection: drop or choose, with progress file by file until they are searchable.

import { get, headers, pause, raised } from "./api.js";
import { choose } from "./app.js";
import { announce, button, byId, element, hint } from "./element.js";

export const STAGES = {
	upload: "sending", stored: "stored, waiting to be found", registered: "found", raw_documents: "found", fetch: "fetching",
	parse: "parsing", parsed_documents: "parsed", chunk: "cutting", chunks: "cut into passages", embed: "embedding", search_index: "searchable",
};
const ENDS = {
	completed: "Searchable", partial: "Searchable, partly read", replaced: "Replaced by a newer file", deleted: "Deleted", failed: "Failed",
};
const PATIENCE_MS = 45000;
let state;
let onChange;

export function start(shared, changed) {
	state = shared;
	onChange = changed;
	const form = byId("upload-form");
	byId("upload-files").addEventListener("change", (event) => {
		add([...event.target.files]);
		event.target.value = "";
	});
	form.addEventListener("submit", (event) => event.preventDefault());
	byId("upload-into").addEventListener("input", (event) => { event.target.dataset.isOwn = "1"; });
	// anywhere: a file dropped beside the field must not replace the page
	addEventListener("dragover", (event) => {
		if (![...event.dataTransfer.types].includes("Files")) return;
		event.preventDefault();
		if (state.view === "documents") form.classList.add("over");
	});
	addEventListener("dragleave", (event) => { if (!event.relatedTarget) form.classList.remove("over"); });
	addEventListener("drop", (event) => {
		if (!event.dataTransfer.files.length) return;
		event.preventDefault();
		form.classList.remove("over");
		if (state.view !== "documents") location.hash = "#/documents";
		add([...event.dataTransfer.files]);
	});
}

export function show() {
	const into = byId("upload-into");
	if (!into.dataset.isOwn && document.activeElement !== into) into.value = state.collection;
}

function add(files) {
	const into = byId("upload-into");
	if (!files.length || !into.reportValidity()) return;
	const name = into.value.trim();
	delete into.dataset.isOwn;
	for (const file of files) new Upload(file, name).send();
}

class Upload {
	constructor(file, collection) {
		this.file = file;
		this.collection = collection;
		this.bar = element("progress", { max: 100, value: 0, "aria-label": `Progress of ${file.name}` });
		this.note = hint("waiting");
		this.actions = element("span", {});
		this.root = element("li", {}, element("span", { class: "name" }, file.name), this.bar, this.note, this.actions);
		byId("uploads").prepend(this.root);
	}

	async send(replaces = false) {
		this.actions.replaceChildren();
		this.root.classList.remove("bad");
		this.say(STAGES.upload, 0);
		try {
			const { job_id: job } = await this.transfer(replaces);
			choose(this.collection);
			await this.follow(job);
		} catch (error) {
			this.fail(error);
		}
		onChange();
	}

	transfer(replaces) {
		const [user, project] = this.collection.split("/");
		const form = new FormData();
		form.set("user_id", user);
		form.set("project_id", project);
		if (replaces) form.set("replace_filenames", JSON.stringify([this.file.name]));
		form.append("files", this.file);
		return new Promise((resolve, reject) => {
			const request = new XMLHttpRequest(); // fetch tells nothing of what was sent
			request.open("POST", "/upload");
			for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
			request.responseType = "json";
			request.upload.onprogress = (event) => { if (event.lengthComputable) this.say(STAGES.upload, (50 * event.loaded) / event.total); };
			request.onerror = () => reject(raised(0, null));
			request.onload = () => (request.status === 200 ? resolve(request.response) : reject(raised(request.status, request.response)));
			request.send(form);
		});
	}

	async follow(job) {
		const began = Date.now();
		let reached = "";
		for (let wait = 700; ; wait = Math.min(wait * 1.2, 3000)) {
			const { files: [file] } = await get("/upload/status", { job_id: job });
			if (file.status !== "processing") return this.end(file);
			if (file.stage !== reached) onChange();
			reached = file.stage;
			this.say(STAGES[file.stage] ?? file.stage, file.stage === "stored" ? 55 : 75);
			if (file.stage === "stored" && Date.now() - began > PATIENCE_MS) {
				this.note.textContent = "Stored; read when the sensors of rag up run, or by rag ingest.";
			}
			await pause(wait);
		}
	}

	end(file) {
		const text = ENDS[file.status] ?? file.status;
		if (file.status === "failed") return this.fail({ message: file.error?.message ?? "It failed.", code: file.error?.code });
		this.say(text, 100);
		this.root.classList.add("good");
		announce(`${file.filename}: ${text}.`);
		this.actions.replaceChildren(button("Dismiss", () => this.root.remove(), { class: "link", "aria-label": `Dismiss ${file.filename}` }));
	}

	fail(error) {
		this.root.classList.add("bad");
		this.bar.value = 100;
		this.note.textContent = error.message;
		announce(`${this.file.name}: ${error.message}`);
		const again = error.code === "file_exists" ? ["Replace it", true] : ["Try again", false];
		this.actions.replaceChildren(button(again[0], () => this.send(again[1]), { "aria-label": `${again[0]}: ${this.file.name}` }));
	}

	say(text, percent) {
		this.note.textContent = text;
		this.bar.value = percent;
	}
}
