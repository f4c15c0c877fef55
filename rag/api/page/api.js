// The service's HTTP API: the key of this tab, requests, and errors that say what to do.

const KEY = "rag-api-key";

export const key = {
	get: () => sessionStorage.getItem(KEY) ?? "",
	set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

export const headers = () => (key.get() ? { Authorization: `Bearer ${key.get()}` } : {});

export class ApiError extends Error {
	constructor(status, body) {
		super(body?.message ?? "The service did not answer: is it running? Try again in a moment.");
		this.status = status;
		this.code = body?.code ?? "no_answer";
		this.info = body?.info ?? {};
		if (status === 401) this.title = "A key is needed";
		if (status === 429 || status === 503) this.title = "Busy right now";
	}
}

const listeners = [];
export const onUnauthenticated = (listener) => listeners.push(listener);

async function send(path, options = {}) {
	let response;
	try {
		response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
	} catch (error) {
		if (error.name === "AbortError") throw error;
		throw new ApiError(0, null);
	}
	if (response.ok) return response;
	throw raised(response.status, await response.json().catch(() => null));
}

export function raised(status, body) {
	const error = new ApiError(status, body);
	if (status === 401) listeners.forEach((listener) => listener(error));
	return error;
}

export async function get(path, parameters = {}) {
	const chosen = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
	const query = new URLSearchParams(chosen).toString();
	return (await send(query ? `${path}?${query}` : path)).json();
}

export async function image(path) {
	const response = await send(path);
	return { url: URL.createObjectURL(await response.blob()), mark: Number(response.headers.get("X-Marked-At")) };
}

export const post = async (path, body, options = {}) =>
	send(path, { ...options, method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
