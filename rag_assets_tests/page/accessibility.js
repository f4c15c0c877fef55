// Elements that break a rule of accessibility, each as one line of text; evaluated in the page.
() => {
  const shown = (e) => e.checkVisibility();
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const textOf = (id) => document.getElementById(id)?.textContent ?? "";
  const name = (e) => [
    e.getAttribute("aria-label") ?? "",
    ...(e.getAttribute("aria-labelledby") ?? "").split(" ").map(textOf),
    ...[...(e.labels ?? [])].map((label) => label.textContent),
    e.textContent, e.title,
  ].join("").trim();
  const tell = (e) => `${e.tagName.toLowerCase()}#${e.id}.${e.className}`;
  const found = [];
  const rule = (what, elements) => elements.forEach((e) => found.push(`${what}: ${tell(e)}`));

  const named = "button, a[href], input, select, textarea, progress, dialog, nav, aside";
  rule("control without a name", all(`${named}, [role=region]`).filter((e) => !name(e)));
  rule("picture without a text", all("img").filter((e) => !e.hasAttribute("alt")));
  const withId = [...document.querySelectorAll("[id]")];
  const ids = withId.map((e) => e.id);
  rule("id twice", withId.filter((e, i) => ids.indexOf(e.id) !== i));
  for (const attribute of ["aria-labelledby", "aria-describedby", "for"]) {
    const isLost = (e) => e.getAttribute(attribute).split(" ").some((id) => !ids.includes(id));
    const naming = [...document.querySelectorAll(`[${attribute}]`)];
    rule(`${attribute} that names nothing`, naming.filter(isLost));
  }
  rule("order of focus changed", all("[tabindex]").filter((e) => e.tabIndex > 0));
  rule("header cell without scope", all("th").filter((e) => !e.scope));
  const targets = "button:not(.link), select, input:not(.unseen):not([type=checkbox]), nav a";
  rule("target under 24 pixels", all(targets).filter((e) => {
    const box = e.getBoundingClientRect();
    return Math.min(box.width, box.height) < 24;
  }));
  if (!document.documentElement.lang) found.push("no language");
  if (all("main").length !== 1) found.push("not one main");
  if (all("h1").length !== 1) found.push("not one h1");
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) found.push(`wider than the window: ${width}`);

  // WCAG 2.2, 1.4.3 and 1.4.11
  const colour = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) =>
    0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found;
    }
    return colour("Canvas");
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const least = (what, e, ratio, limit) => {
    if (ratio < limit) found.push(`contrast ${ratio.toFixed(2)} of ${what}: ${tell(e)}`);
  };
  const hasText = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  for (const e of all("body *")) {
    if (!hasText(e) || e.closest(":disabled, .unseen, noscript, .skip")) continue;
    least("text", e, contrast(colour(getComputedStyle(e).color), behind(e)), 4.5);
  }
  for (const e of all("input:not([type=checkbox]):not(.unseen), textarea, select")) {
    const edge = colour(getComputedStyle(e).borderTopColor);
    least("border", e, contrast(edge, behind(e.parentElement)), 3);
    const faint = colour(getComputedStyle(e, "::placeholder").color);
    if (e.placeholder) least("placeholder", e, contrast(faint, behind(e)), 4.5);
  }
  return found;
}
