// Server-sent events of a response to POST: {event, data} one by one, data as JSON.

export async function* events(response) {
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let held = "";
	try {
		for (;;) {
			const { value, done } = await reader.read();
			if (done) return;
			held = (held + value).replace(/\r\n?/g, "\n");
			let end;
			while ((end = held.indexOf("\n\n")) >= 0) {
				const event = parsed(held.slice(0, end));
				held = held.slice(end + 2);
				if (event) yield event;
			}
		}
	} finally {
		reader.cancel().catch(() => {});
	}
}

function parsed(block) {
	let event = "message";
	const data = [];
	for (const line of block.split("\n")) {
		if (line.startsWith("event:")) event = line.slice(6).trim();
		else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
	}
	return data.length ? { event, data: JSON.parse(data.join("\n")) } : null;
}
