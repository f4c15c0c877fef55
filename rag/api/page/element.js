// Elements from names, attributes and text. Text is always text: nothing here parses HTML.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
	const made = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		if (value === null || value === undefined || value === false) continue;
		if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
		else made.setAttribute(key, value === true ? "" : String(value));
	}
	made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
	return made;
}

export const button = (text, onclick, attributes = {}) =>
	element("button", { type: "button", onclick, ...attributes }, text);

export const hint = (...children) => element("span", { class: "hint" }, ...children);

export function replace(parent, ...children) {
	parent.replaceChildren(...children.flat().filter(Boolean));
}

export const announce = (text) => { byId("status").textContent = text; };

// what is empty, loading or broken: a title, a sentence that says what to do, and perhaps a button
export function notice(title, text, action = null, kind = "") {
	return element("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : null },
		element("h2", {}, title), element("p", {}, text), action);
}

export const waiting = (text) =>
	element("p", { class: "waiting" }, element("span", { class: "dots", "aria-hidden": "true" }), `${text}…`);

export const loading = (what) => waiting(`Loading ${what}`);

export function failure(error, again) {
	return notice(error.title ?? "That did not work", error.message, again ? button("Try again", again) : null, "error");
}

const number = new Intl.NumberFormat("en");
export const count = (n, one, many = `${one}s`) => `${number.format(n)} ${n === 1 ? one : many}`;

const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function ago(moment) {
	if (!moment) return "never";
	const seconds = (new Date(moment) - Date.now()) / 1000;
	const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? UNITS.at(-1);
	const text = relative.format(Math.round(seconds / size), unit);
	return element("time", { datetime: moment, title: new Date(moment).toLocaleString() }, text);
}

export function duration(seconds) {
	if (seconds < 1) return "under a second";
	const [unit, size] = UNITS.find(([, each]) => seconds >= each);
	return count(Math.round(seconds / size), unit);
}
