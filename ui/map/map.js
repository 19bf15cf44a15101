// The front door: what was found, the map, the cards. Python sends the questions (ui/map/__init__.py); whatever a reader
// typed becomes text and never markup. Streamlit calls the default function again on every change of the data, without a
// clean-up in between: all state lives on the root element.

const html = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const key in attributes) if (attributes[key] != null) node.setAttribute(key, attributes[key]);
  node.append(...children.filter((child) => child != null));
  return node;
};

// The app may live under a path of its own (Community Cloud does that): start from Streamlit's own script.
function home() {
  const own = [...document.scripts].map((script) => script.src).find((src) => /\/static\/js\//.test(src)) ?? document.baseURI;
  return new URL(own.split("/static/js/")[0].replace(/\/?$/, "/"));
}

// An element that leads to a lesson: a real link, which a plain click follows without loading the app again.
function link(s, topic, attributes, children, hit = { part: "", within: "" }) {
  if (!topic.ready) return html("a", { ...attributes, role: "link", "aria-disabled": "true" }, ...children);
  const node = html("a", { ...attributes, href: new URL(topic.slug + (hit.part && `#${hit.part}`), home()).href }, ...children);
  node.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    hide(s);
    s.go({ slug: topic.slug, within: hit.within });
    if (hit.part) seek(topic.slug, hit);
  });
  return node;
}

// Leads to what was found: its part, and there its words if they can be seen. The lesson is made meanwhile and grows
// above them, so this goes on until the page rests, or until the reader scrolls herself.
function seek(slug, { part, excerpt }) {
  const letters = (text) => text.toLowerCase().replace(/[^\p{L}]/gu, ""), end = Date.now() + 20_000;
  const longest = excerpt.filter(([text]) => !text.startsWith(" More exactly:")).map(([text]) => letters(text)).sort((a, b) => b.length - a.length)[0].slice(0, 40);
  const kinds = ["wheel", "touchmove", "pointerdown", "keydown"], leave = () => { clearInterval(looking); kinds.forEach((kind) => removeEventListener(kind, leave)); };
  const looking = setInterval(() => {
    const heading = pageOf(location.href) === slug && document.getElementById(part);
    if (Date.now() > end) return leave();
    if (!heading) return;
    const below = [...document.querySelectorAll("[data-testid=stMain] :is(p, summary)")].filter((node) =>
      heading.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING && node.getClientRects().length);
    const found = below.find((node) => letters(node.textContent).includes(longest));
    heading.scrollIntoView();
    if (found && found.getBoundingClientRect().bottom > innerHeight) found.scrollIntoView({ block: "center" });
    if (found && document.querySelector("[data-testid=stApp]").dataset.testScriptState === "notRunning") leave();
  }, 250);
  setTimeout(() => kinds.forEach((kind) => addEventListener(kind, leave, { passive: true })), 300); // not the press that leads here
}

// ------------------------------------------------------------------------------------------------ the map

function drawMap(s) {
  const sheets = Object.keys(SHEETS).map(sheet); // which of them is seen, says map.css
  const list = html("ol", { "aria-label": "The twenty questions, in the order of the course" });
  const spare = s.data.topics.filter(({ slug }) => !sheets[0].places[slug]); // a question that somebody added stands below
  s.data.topics.forEach((topic, i) => {
    const state = topic.ready ? "" : ", no lesson yet";
    const pin = link(s, topic, { class: topic.ready ? "pin" : "pin waits", tabindex: topic.ready ? null : 0,
      "aria-label": `${topic.number}. ${topic.question}${state}`, "aria-describedby": topic.answer ? `answer-${i}` : null }, [String(topic.number)]);
    pin.dataset.slug = topic.slug;
    const item = html("li", {}, pin, topic.answer ? html("span", { id: `answer-${i}`, hidden: "" }, topic.answer) : null);
    for (const { name, size: [width, height], places } of sheets) {
      const [x, y] = places[topic.slug] ?? [24 + 52 * spare.indexOf(topic), height + 12];
      item.style.setProperty(`--${name}-x`, `${(100 * x) / width}%`);
      item.style.setProperty(`--${name}-y`, `${(100 * y) / height}%`);
    }
    pin.addEventListener("pointerdown", (event) => { s.touch = event.pointerType === "touch"; });
    pin.addEventListener("pointerenter", (event) => { if (event.pointerType !== "touch") show(s, topic, pin); });
    pin.addEventListener("pointerleave", () => later(s));
    pin.addEventListener("focus", () => { if (!s.touch) show(s, topic, pin); });
    pin.addEventListener("blur", () => later(s));
    // A finger has no hover: the first tap shows the question, with a way in.
    pin.addEventListener("click", (event) => {
      if (!s.touch) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      show(s, topic, pin, true);
    }, true);
    list.append(item);
  });
  s.tip = html("div", { class: "about", hidden: "" });
  s.tip.addEventListener("pointerenter", () => clearTimeout(s.leaving));
  s.tip.addEventListener("pointerleave", () => later(s));
  const map = html("div", { class: "map" }, ...sheets.map(({ svg }) => svg), list);
  for (const { name, size: [width, height] } of sheets) {
    map.style.setProperty(`--${name}-w`, width);
    map.style.setProperty(`--${name}-h`, height);
  }
  map.classList.toggle("more", spare.length > 0);
  s.map = map;
  s.root.querySelector(".place").replaceChildren(map, s.tip);
}

function show(s, topic, pin, touch = false) {
  clearTimeout(s.leaving);
  const close = html("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => { hide(s); pin.focus({ preventScroll: true }); });
  const enter = topic.ready ? link(s, topic, { class: "enter" }, [`Enter question ${topic.number}`]) : null;
  s.tip.replaceChildren(
    html("p", { class: "name" }, `${topic.number} · ${topic.title}`),
    html("p", { class: "question" }, topic.question),
    ...(topic.answer ? [html("p", { class: "answer" }, topic.answer)] : []),
    ...(topic.ready ? [] : [html("p", { class: "name" }, "No lesson yet.")]),
    ...(touch ? [html("div", { class: "ways" }, enter, close)] : []),
  );
  s.shown?.classList.remove("shown");
  s.shown = pin;
  pin.classList.add("shown");
  s.tip.classList.toggle("sheet", touch);
  // Under a pointer it repeats what the link itself says; under a finger it is the way in.
  if (touch) s.tip.removeAttribute("aria-hidden"); else s.tip.setAttribute("aria-hidden", "true");
  s.tip.hidden = false;
  if (touch) return (enter ?? close).focus({ preventScroll: true });
  const at = pin.getBoundingClientRect(), frame = s.tip.offsetParent.getBoundingClientRect(), size = s.tip.getBoundingClientRect();
  const left = Math.min(Math.max(at.left + at.width / 2 - frame.left - size.width / 2, 0), Math.max(0, frame.width - size.width));
  const fits = at.bottom + 10 + size.height <= innerHeight || at.top - 10 - size.height < 0;
  s.tip.style.left = `${left}px`;
  s.tip.style.top = `${fits ? at.bottom - frame.top + 10 : at.top - frame.top - 10 - size.height}px`;
}

function hide(s) {
  clearTimeout(s.leaving);
  if (s.tip) s.tip.hidden = true;
  s.shown?.classList.remove("shown");
  s.shown = null;
}

function later(s) {
  clearTimeout(s.leaving);
  if (!s.tip.classList.contains("sheet")) s.leaving = setTimeout(() => hide(s), 140);
}

// ------------------------------------------------------------------------------------------------ the cards

function drawCards(s) {
  const themes = [...new Set(s.data.topics.map((topic) => topic.theme))];
  s.root.querySelector(".cards").replaceChildren(...themes.map((theme) => html("div", { class: "theme" },
    html("h2", {}, theme),
    html("ul", {}, ...s.data.topics.filter((topic) => topic.theme === theme).sort((a, b) => b.ready - a.ready).map((topic) => {
      const title = [html("span", { class: "number" }, String(topic.number)), topic.title];
      const picture = topic.pictures ? html("img", { alt: "", width: 280, height: 130 }) : null;
      if (picture) picture.pictures = topic.pictures;
      return html("li", { class: topic.ready ? "card" : "card waits" },
        topic.ready ? link(s, topic, { class: "title" }, title) : html("span", { class: "title" }, ...title),
        html("p", {}, topic.question), picture ?? (topic.ready ? null : html("p", { class: "none" }, "No lesson yet")));
    })),
  )));
}

const address = (picture, theme) => new URL(picture.pictures[theme], home()).href;

// Streamlit changes the theme by changing CSS variables, which fires no event.
function dress(s) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  canvas.fillStyle = getComputedStyle(s.root).getPropertyValue("--st-background-color").trim() || "#fff";
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
  const theme = 0.2126 * r + 0.7152 * g + 0.0722 * b < 128 ? "dark" : "light";
  if (s.root.dataset.theme === theme) return;
  s.root.dataset.theme = theme;
  const pictures = [...s.root.querySelectorAll("img")];
  for (const picture of pictures) picture.src = address(picture, theme);
  // Paper is white in any theme. A picture that was loaded before is there at once when it is asked for.
  s.paper = theme === "light" ? [] : pictures.map((picture) => Object.assign(new Image(), { src: address(picture, "light") }));
}

function print(s, on) {
  for (const picture of s.root.querySelectorAll("img")) picture.src = address(picture, on ? "light" : s.root.dataset.theme);
}

// ------------------------------------------------------------------------------------------------ what was found

function drawFound(s) {
  const { asked, hits, tries, topics } = s.data, place = s.root.querySelector(".found");
  place.hidden = !asked;
  if (!asked) return place.replaceChildren();
  const lessons = new Set(hits.filter((hit) => hit.slug).map((hit) => hit.slug)).size, meant = hits.some((hit) => !hit.slug);
  const questions = lessons === 1 ? "One question" : `${lessons || "No"} questions`;
  const said = hits.length ? [`${questions} about “${asked}”${meant ? ", and what it means" : ""}`] : [`Nothing has “${asked}”. Try`, ...tries.map((word) => {
    const button = html("button", { type: "button" }, word);
    button.addEventListener("click", () => s.look(word));
    return button;
  })];
  const rows = hits.map((hit) => {
    const topic = topics.find(({ slug }) => slug === hit.slug);
    const words = hit.excerpt.map(([text, marked]) => (marked ? html("mark", {}, text) : text));
    const name = topic && [html("span", { class: "number" }, String(topic.number)), topic.title];
    const title = !topic ? null : topic.ready ? link(s, topic, { class: "title" }, name, hit) : html("span", { class: "title waits" }, ...name);
    return html("li", {}, html("div", {}, title, html("span", { class: "where" }, topic && !topic.ready ? `${hit.where} · no lesson yet` : hit.where)), html("p", {}, ...words));
  });
  place.replaceChildren(html("p", { class: "said" }, ...said), ...(rows.length ? [html("ul", {}, ...rows)] : []));
}

// The last part of an address below the app's own path.
function pageOf(address) {
  const path = new URL(address).pathname, own = home().pathname;
  return decodeURI(path.startsWith(own) ? path.slice(own.length) : path).replace(/^\/+|\/+$/g, "");
}

const leads = (s, page) => s.data.topics.some(({ slug, ready }) => ready && slug === page);

// An address that belongs to no lesson shows the map, and says so. Streamlit puts the app's own address in its place, so
// until the reader has gone somewhere, the document's first address counts.
function sayWhere(s) {
  const first = performance.getEntriesByType("navigation")[0]?.name ?? location.href;
  const page = [pageOf(location.href), window.__ttLeft ? "" : pageOf(first)].find((asked) => asked !== "" && !leads(s, asked)) ?? "";
  const place = s.root.querySelector(".lost");
  if (place.dataset.page === page) return;
  place.dataset.page = page;
  place.hidden = page === "";
  const waits = s.data.topics.find(({ slug }) => slug === page);
  place.textContent = page === "" ? ""
    : `${waits ? `Question ${waits.number} has no lesson yet.` : "There is no page at this address."} Here is the map.`;
}

// Streamlit's “Page not found” is hidden, but while it is open the page behind it takes no clicks: so it is closed as well.
function closeDialog() {
  for (const dialog of document.querySelectorAll("[data-testid=stDialog]")) {
    if (/Page not found/.test(dialog.textContent)) dialog.querySelector("[role=dialog] button[aria-label=Close]")?.click();
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".front");
  const s = (root.__front ??= { root, touch: false, shown: null });
  s.go = (where) => setTriggerValue("go", where);
  s.look = (word) => setTriggerValue("look", word);
  s.data = data;
  const same = JSON.stringify(data.topics);
  drawFound(s);
  if (s.drawn !== same) {
    s.drawn = same;
    drawMap(s);
    drawCards(s);
    delete root.dataset.theme;
  }
  // The pins of what was found, so that the map shows where it belongs.
  const found = new Set(data.hits.map(({ slug }) => slug));
  for (const pin of root.querySelectorAll(".pin")) pin.classList.toggle("hit", found.has(pin.dataset.slug));
  dress(s);
  sayWhere(s);
  root.onkeydown = (event) => { if (event.key === "Escape" && s.shown) { const pin = s.shown; hide(s); pin.focus({ preventScroll: true }); hide(s); } };
  s.outside ??= (event) => { if (s.shown && !event.composedPath().includes(s.tip) && !event.composedPath().includes(s.shown)) hide(s); };
  document.addEventListener("pointerdown", s.outside);
  s.begins ??= () => print(s, true);
  s.ends ??= () => print(s, false);
  addEventListener("beforeprint", s.begins);
  addEventListener("afterprint", s.ends);
  // Somebody who asks for the map at an unknown address has seen what is said of it.
  s.asked ??= (event) => { if (event.target.closest?.("[data-testid=stSidebar] a")) { window.__ttLeft = true; sayWhere(s); } };
  document.addEventListener("click", s.asked);
  closeDialog();
  s.dialogs ??= new MutationObserver(closeDialog);
  s.dialogs.observe(document.body, { childList: true }); // dialogs are put there
  s.watch ??= setInterval(() => { dress(s); sayWhere(s); }, 700);
  root.dataset.drawn = ""; // browser tests wait for this
  return () => {
    clearInterval(s.watch);
    clearTimeout(s.leaving);
    s.dialogs.disconnect();
    document.removeEventListener("pointerdown", s.outside);
    removeEventListener("beforeprint", s.begins);
    removeEventListener("afterprint", s.ends);
    document.removeEventListener("click", s.asked);
    setTimeout(() => { window.__ttLeft ||= leads(s, pageOf(location.href)); }, 500); // gone to a lesson
    delete root.__front;
  };
}
