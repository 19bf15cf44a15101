// The scrubbable figure. Python sends every frame once (ui/sweep/packing.py); this paints frames and computes nothing.
// Streamlit calls the default function again on every change of the data, without a clean-up in between: all state
// lives on the root element.

const once = (window.__ttPlotly ??= {});

// plotly.js comes from this server (ui/sweep/served.py): compressed, and once for all visits, since the address names the
// version. The server sends no date by which a browser could keep it, so it is told to.
async function script(file, address) {
  if (!file.split("?")[0].endsWith(".gz")) return address;
  const answer = await fetch(address, { cache: "force-cache" });
  if (!answer.ok) throw new Error(answer.statusText);
  const bytes = await new Response(answer.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  return URL.createObjectURL(new Blob([bytes], { type: "text/javascript;charset=utf-8" }));
}

function run(address) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = address;
    element.onload = () => resolve(window.Plotly);
    element.onerror = () => reject(new Error(`${address} did not load`));
    document.head.append(element);
  });
}

function loadPlotly(files) {
  // The app may live under a path of its own (Community Cloud does that): start from Streamlit's own script.
  const own = [...document.scripts].map((s) => s.src).find((s) => /\/static\/js\//.test(s)) ?? document.baseURI;
  const full = (file) => new URL(file, own.split("/static/js/")[0].replace(/\/?$/, "/")).href;
  const next = ([file, ...others]) => script(file, full(file)).then(run).catch((error) => {
    if (!others.length) throw error;
    return next(others);
  });
  return (once[files] ??= next(files).catch((error) => { delete once[files]; throw error; }));
}

function unpack(bytes) {
  const copy = bytes.slice(); // the view need not be aligned to 4 bytes
  const size = new DataView(copy.buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(copy.subarray(4, 4 + size)));
  const arrays = head.arrays.map(({ at, shape }) => {
    const flat = new Float32Array(copy.buffer, 4 + size + at, shape.reduce((a, b) => a * b, 1));
    if (shape.length < 2) return flat;
    return Array.from({ length: shape[0] }, (_, r) => flat.subarray(r * shape[1], (r + 1) * shape[1]));
  });
  return { head, arrays };
}

function luminance(colour) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  canvas.fillStyle = colour || "#fff";
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

// Paper is white, whatever the screen is.
const INK = { background: "#ffffff", dark: false, text: "#1d2026", grid: "#d9d6cf" };

function readTheme(root, known, paper) {
  const style = getComputedStyle(root);
  const css = (name, other) => style.getPropertyValue(name).trim() || other;
  const font = css("--st-font", "sans-serif");
  if (paper) return { ...INK, font };
  const background = css("--st-background-color", "#fff");
  if (known?.background === background) return known;
  return { background, dark: luminance(background) < 0.5, text: css("--st-text-color", "#222"),
    grid: css("--st-border-color", "#ddd"), font };
}

const hex = (c) => `rgba(${[1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)).join(",")}`;

function recolour(text, twins, faded) {
  if (text[0] === "#") return twins[text] ?? text;
  if (!text.startsWith("rgba(")) return text;
  const cut = text.lastIndexOf(",");
  return (faded[text.slice(0, cut)] ?? text.slice(0, cut)) + text.slice(cut);
}

// The figure of one frame, out of the tree of all frames.
function resolve(node, s, frame) {
  if (typeof node === "string") return s.theme.dark ? recolour(node, s.head.twins, s.faded) : node;
  if (node === null || typeof node !== "object") return node;
  if (Array.isArray(node)) return node.map((child) => resolve(child, s, frame));
  if ("$a" in node) return s.arrays[node.$a];
  if ("$v" in node) return resolve(node.$v[frame], s, frame);
  const out = {};
  for (const name in node) out[name] = resolve(node[name], s, frame);
  return out;
}

function dressed(figure, theme, narrow) {
  const { layout } = figure;
  const title = layout.title?.text ?? "";
  delete layout.title; // shown as the figure's caption, where it wraps on a phone
  for (const name of Object.keys(layout)) {
    if (!/^[xy]axis\d*$/.test(name)) continue;
    const axis = layout[name];
    axis.gridcolor ??= theme.grid;
    axis.linecolor = theme.grid;
    axis.tickfont = { size: narrow ? 12 : 13 };
    if (axis.title) axis.title = { ...axis.title, font: { size: narrow ? 13 : 14 }, standoff: 8 };
  }
  if (layout.showlegend === false && layout.margin) layout.margin.t = 10;
  if (narrow && layout.legend) layout.legend.font = { size: 12 };
  Object.assign(layout, { autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: theme.font, color: theme.text, size: 13, ...layout.font },
    hoverlabel: { font: { family: theme.font, size: 13 } },
    // A drag on a phone must scroll the page, not zoom the figure.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", uirevision: "keep" });
  return { ...figure, title };
}

// The tallest figure of a hero: question, control, picture and reading fit one screen of 900 pixels. Most take 290.
const HERO = 340;

// On A4 and on Letter, margins of 15 mm leave at least 680 CSS pixels: two figures beside each other, or one.
const PAPER = { one: 656, two: 322 };

function onPaper(s, i) {
  return i === s.figures.length - 1 && i % 2 === 0 ? PAPER.one : PAPER.two;
}

// Numbers in cells are at most 12 pixels high, smaller where neighbours would touch, and left out where they could not
// be read. The size of a cell is known after the first drawing.
function fitNumbers(view, cell, font) {
  const heat = view.data.find((trace) => trace.texttemplate);
  if (!heat || !cell) return 12;
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `100px ${font}`;
  const wide = (view.layout.meta.widest ?? 5) * pen.measureText("0").width / 100;
  const size = Math.floor(Math.min(12, (cell.wide - 4) / wide, cell.high - 2));
  if (size < 8) delete heat.texttemplate;
  else heat.textfont = { ...heat.textfont, size };
  return size;
}

// Whether words stand under a panel: numbers alone have room.
function worded({ data, layout: { xaxis } }) {
  const labels = xaxis?.ticktext ?? (xaxis?.type === "category" ? data[0].x : []);
  return labels.some((label) => /\D/.test(label));
}

// What differs between the frames of a panel, as one text for each frame: equal texts are equal pictures.
function frameKey(s, i, frame) {
  const known = (s.head.keys ??= s.head.panels.map((panel) => {
    const found = [];
    (function walk(node) {
      if (node === null || typeof node !== "object") return;
      if ("$v" in node) found.push(node.$v);
      else if (!("$a" in node)) Object.values(node).forEach(walk);
    })(panel);
    return { found, texts: [] };
  }))[i];
  return (known.texts[frame] ??= JSON.stringify(known.found.map((versions) => versions[frame])));
}

// A room sees type that is larger (ui/present.py); figures follow it.
const USUAL = 17; // pixels, of config.toml

function scaleOf(s) {
  const size = parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL;
  return s.paper || !(size > 1.2) ? 1 : size;
}

function enlarged(view, by) {
  const { layout } = view;
  const grow = (node) => {
    if (node === null || typeof node !== "object" || ArrayBuffer.isView(node)) return;
    for (const [name, child] of Object.entries(node)) {
      if (/font$/.test(name) && typeof child?.size === "number") node[name] = { ...child, size: child.size * by };
      else grow(child);
    }
  };
  layout.height = (layout.height ?? 320) * by;
  if (layout.margin) layout.margin = Object.fromEntries(Object.entries(layout.margin).map(([side, n]) => [side, n * by]));
  grow(layout);
  grow(view.data);
}

// The figure of a panel as it is to be drawn now.
function viewOf(s, i, across) {
  const view = dressed(resolve(s.head.panels[i], s, s.index), s.theme, across < 420);
  if (s.paper) Object.assign(view.layout, { width: across, autosize: false });
  else if (s.hero) view.layout.height = Math.min(view.layout.height ?? 320, HERO);
  if (s.turn && worded(view)) Object.assign(view.layout.xaxis, { tickangle: s.turn, automargin: true });
  if (s.scale !== 1) enlarged(view, s.scale);
  return view;
}

// What this panel shows, for those who do not see it; what it means, the reading says once for all panels.
function described({ data, layout, title }) {
  const { meta = {} } = layout, axes = ["xaxis", "yaxis"].map((name) => plain(layout[name]?.title?.text)).filter(Boolean);
  const names = [...new Set(data.filter((one) => one.type !== "heatmap").map((one) => plain(one.name)).filter(Boolean))];
  const kind = data.some((one) => one.type === "heatmap") ? "Matrix" : data.some((one) => one.type === "bar") ? "Bars" : "Graph";
  return meta.alt ?? [plain(title), axes.length && `${kind}, ${axes.join(" across, ")}${axes.length > 1 ? " up" : ""}`,
    names.length && `Shown: ${names.join(", ")}`].filter(Boolean).join(". ") + ".";
}

// A click on a cell of a panel whose cells can be clicked; a panel that waits out of view hears nothing yet.
function hear(s, i) {
  const { plot } = s.figures[i];
  const clickable = Boolean(resolve(s.head.panels[i].layout.meta ?? {}, s, s.index).clickable);
  plot.classList.toggle("tt-click", clickable);
  plot.removeAllListeners?.("plotly_click");
  if (clickable) plot.on?.("plotly_click", ({ points: [p] }) => s.clicked([i, Math.round(p.y), Math.round(p.x)]));
}

// Draws a panel if it does not stand so already. With `moving`, only what has changed is painted where that can be done;
// returns whether Plotly has still to draw it.
function drawPanel(s, i, across, moving) {
  const { head, theme } = s, place = s.figures[i], { figure, plot, caption } = place;
  const setting = [s.version, theme.background, s.paper, across, s.turn, s.scale].join();
  const want = `${setting}|${frameKey(s, i, s.index)}`;
  if (place.drawn === want) {
    if (place.shown !== want) { restore(place); s.views[i] = place.given; }
    caption.textContent = place.base.title;
    place.shown = want;
    return false;
  }
  if (moving && place.shown === want) return true;
  figure.style.setProperty("--tt-paper", `${onPaper(s, i)}px`);
  const resized = place.across && place.across !== across;
  if (place.across !== across) Object.assign(place, { across, cell: null });
  const show = (view) => s.Plotly.react(plot, view.data, view.layout, { displayModeBar: false, responsive: false });
  let view = viewOf(s, i, across);
  // What slides from frame to frame must not slide to another size: Plotly would leave the drawing cut off.
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (still || s.paper || place.size !== `${across} ${s.scale}`) delete view.layout.transition;
  place.size = s.paper ? null : `${across} ${s.scale}`;
  if (caption.textContent !== view.title) caption.textContent = view.title;
  const size = fitNumbers(view, place.cell, theme.font);
  const fast = moving && place.setting === setting && nudge(place, view);
  if (!fast) {
    restore(place);
    plot.style.height = `${view.layout.height ?? 320}px`;
    const first = !plot.on;
    show(view);
    if (first) hear(s, i);
    if (resized) show(view); // Plotly places a legend for the width that it had before
    const heat = view.data.find((trace) => trace.type === "heatmap"), drawn = plot._fullLayout;
    if (heat) {
      place.cell = { wide: drawn.xaxis._length / heat.z[0].length, high: drawn.yaxis._length / heat.z.length };
      const next = viewOf(s, i, across);
      if (fitNumbers(next, place.cell, theme.font) !== size) show((view = next));
      inkNumbers(plot, heat);
    }
    // Compared with later: Plotly writes into the one that it was given.
    const base = viewOf(s, i, across);
    fitNumbers(base, place.cell, theme.font);
    Object.assign(place, { drawn: want, setting, base, given: view });
  }
  const says = described(view);
  if (plot.getAttribute("aria-label") !== says) plot.setAttribute("aria-label", says);
  plot.setAttribute("role", "img"); // not before it shows something: a panel out of view waits
  place.shown = want;
  s.views[i] = view;
  figure.hidden = false;
  return fast;
}

// Where Plotly has turned the words under one panel, it turns them under its neighbours.
function turnAlike(s, widths) {
  const angles = s.figures.filter((_, i) => s.views[i] && worded(s.views[i])).map(({ plot }) => {
    const turned = plot.querySelector(".xtick text")?.getAttribute("transform") ?? "";
    return Number(turned.match(/rotate\((-?[\d.]+)/)?.[1] ?? 0);
  });
  if (new Set(angles).size < 2) return;
  s.turn = Math.max(...angles);
  s.figures.forEach((_, i) => s.views[i] && worded(s.views[i]) && drawPanel(s, i, widths[i]));
}

// With `moving`, the reader is under way: Plotly draws what was only painted when she rests.
function draw(s, moving = false) {
  const { root, head } = s;
  const label = head.labels[s.index] + (head.unit ?? "");
  clearTimeout(s.rest);
  s.output.textContent = label;
  s.input.setAttribute("aria-valuetext", label);
  s.buttons?.forEach((radio, i) => { radio.checked = i === s.index; });
  if (s.reading.textContent !== head.readings[s.index]) s.reading.textContent = head.readings[s.index];
  s.theme = readTheme(root, s.theme, s.paper);
  s.scale = scaleOf(s);
  if (!s.widths || s.paper) s.widths = s.figures.map(({ plot }, i) => (s.paper ? onPaper(s, i) : plot.clientWidth));
  const { widths } = s;
  if (s.paper) s.widths = null;
  // The angle holds for these words at these widths: it must not jump from one frame to the next.
  if (s.turnedAt?.version !== s.version || String(s.turnedAt.widths) !== String(widths)) {
    Object.assign(s, { turn: 0, turnedAt: { version: s.version, widths } });
  }
  const seen = s.figures.map((place) => s.paper || place.seen);
  const painted = s.figures.map((_, i) => seen[i] && drawPanel(s, i, widths[i], moving));
  if (painted.some(Boolean)) s.rest = setTimeout(() => rest(s), 200);
  else if (!moving) turnAlike(s, widths);
  root.dataset.drawn = s.index; // browser tests wait for these three
  root.dataset.paper = Boolean(s.paper);
  root.dataset.rests = !painted.some(Boolean);
}

// The reader rests: Plotly draws one panel at a time, so that the next move need not wait for all of them.
function rest(s) {
  s.rest = null;
  const next = s.figures.findIndex((place) => place.seen && place.shown !== place.drawn);
  if (next < 0 || s.frame) return s.frame ? undefined : draw(s);
  drawPanel(s, next, s.widths?.[next] ?? s.figures[next].plot.clientWidth);
  s.rest = setTimeout(() => rest(s), 0);
}

// A panel that is out of view waits until it is nearly seen.
function followView(s) {
  s.view ??= new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const place = s.figures.find(({ figure }) => figure === target);
      if (place) place.seen = isIntersecting;
    }
    if (s.Plotly && entries.some(({ isIntersecting }) => isIntersecting)) paint(s);
  }, { rootMargin: "300px" });
  s.figures.forEach(({ figure }) => s.view.observe(figure));
}

// Printing: before the page is laid out for paper, every figure is drawn for it, and afterwards for the screen again.
function followPaper(s) {
  if (s.unfollow) return;
  const media = matchMedia("print"), listening = new AbortController(), { signal } = listening;
  let printing = false;
  const turn = () => {
    const paper = printing || media.matches;
    if (paper === Boolean(s.paper)) return;
    s.paper = paper;
    if (s.Plotly) draw(s);
  };
  addEventListener("beforeprint", () => { printing = true; turn(); }, { signal });
  addEventListener("afterprint", () => { printing = false; turn(); }, { signal });
  media.addEventListener("change", turn, { signal });
  s.unfollow = () => listening.abort();
  turn();
}

// A last figure that would stand alone in its row takes the whole row.
function arrange(s, panels) {
  const columns = getComputedStyle(panels).gridTemplateColumns.split(" ").length;
  const alone = columns > 1 && s.figures.length % columns === 1;
  s.figures.at(-1).figure.style.gridColumn = alone ? "1 / -1" : "";
  // Panels that are swiped on a phone are moved by arrow keys too.
  if (panels.scrollWidth > panels.clientWidth + 1) panels.tabIndex = 0;
  else panels.removeAttribute("tabindex");
}

function paint(s, moving = false) {
  s.moving = s.frame ? s.moving && moving : moving;
  s.frame ??= requestAnimationFrame(() => { s.frame = null; draw(s, s.moving); });
}

function save(name, content, type) {
  const link = document.createElement("a");
  link.href = content instanceof Blob || type ? URL.createObjectURL(new Blob([content], { type })) : content;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// ---------------------------------------------------------------------------------------------- the figure's data

// A label of Plotly, which reads a little HTML, as the words that it shows.
const plain = (text) => String(text ?? "")
  .replace(/-<br\s*\/?>/gi, "-").replace(/<br\s*\/?>/gi, " ").replace(/<\/?(b|i|em|strong|sub|sup|span|a)\b[^>]*>/gi, "")
  .replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

// The shortest digits that give back this float32: 0.1, not 0.10000000149. With `exact`, whole numbers keep all digits.
function numeral(x, exact) {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x < 0 ? "-inf" : "inf";
  if (Math.fround(x) !== x || (Number.isInteger(x) && (exact || Math.abs(x) <= 2 ** 24))) return String(x);
  for (let digits = 1; ; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === x) return String(short);
  }
}

// Words that a spreadsheet would take for a formula get an apostrophe, also where it splits a cell at a semicolon.
const FORMULA = /(?<=^|[;\t\r\n])(?=\s*[=+\-@＝＋－＠])|^(?=[\t\r\n])/g;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function field(value, exact) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return numeral(value, exact);
  const words = String(value), safe = NUMBER.test(words) ? words : words.replace(FORMULA, "'");
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe; // RFC 4180
}

// The names of the lines: runs that share one are numbered, and a line without a name goes on from the one before.
function seriesNames(traces) {
  const seen = {};
  let last = "";
  return traces.map(({ name }) => {
    last = plain(name) || last;
    seen[last] = (seen[last] ?? 0) + 1;
    return seen[last] > 1 ? `${last} (${seen[last]})` : last;
  });
}

// The numbers of a figure with its words, as CSV: a row for each cell of a matrix, each bar, each point of a line.
function table({ data, layout }) {
  const { meta = {} } = layout;
  const [x, y] = ["xaxis", "yaxis"].map((axis) => plain(layout[axis]?.title?.text) || axis[0]);
  const rows = [], heat = data.find((trace) => trace.type === "heatmap");
  let columns;
  if (meta.table) {
    columns = meta.table.columns;
    rows.push(...meta.table.rows);
  } else if (heat) {
    columns = [y, `${y} (index)`, x, `${x} (index)`, plain(layout.title?.text) || "value"];
    [...(heat.customdata ?? heat.z)].forEach((row, r) => [...row].forEach((value, c) =>
      rows.push([meta.rows?.[r] ?? r, r, meta.columns?.[c] ?? c, c, value])));
  } else {
    columns = meta.bins ? ["series", `${x}, from`, `${x}, to`, y] : ["series", x, y];
    const names = seriesNames(data);
    data.forEach((trace, i) => {
      const last = trace.y.length - 1;
      const at = (k) => meta.labels?.[k] ?? (typeof trace.x[k] === "string" ? plain(trace.x[k]) : trace.x[k]);
      for (let k = 0; k <= last; k++) {
        if (!meta.bins) rows.push([names[i], at(k), trace.y[k]]);
        else if (k < last) rows.push([names[i], at(k), at(k + 1), trace.y[k]]); // the last edge closes the last bin
      }
    });
  }
  return [columns, ...rows].map((row) => [...row].map((v) => field(v, Boolean(meta.table))).join(",") + "\r\n").join("");
}

function takeAway(s) {
  const box = s.root.querySelector(".tt-take div");
  box.replaceChildren(...["SVG", "PNG", "CSV"].flatMap((kind) => s.head.panels.map((_, i) => {
    const button = document.createElement("button");
    const many = s.head.panels.length > 1;
    button.type = "button";
    button.textContent = many ? `${kind} ${i + 1}` : kind;
    button.setAttribute("aria-label", `Save ${many ? `figure ${i + 1}` : "the figure"} as ${kind}`);
    button.onclick = async () => {
      const plot = s.figures[i].plot, view = s.views[i] ?? viewOf(s, i, plot.clientWidth);
      const name = [s.head.key, s.head.labels[s.index], many ? i + 1 : ""].filter(String).join("-").replace(/[^\w.-]+/g, "_");
      if (kind === "CSV") {
        const figure = resolve(s.head.panels[i], { ...s, theme: INK }, s.index); // words are not recoloured
        return save(`${name}.csv`, `\uFEFF${table(figure)}`, "text/csv"); // the mark tells spreadsheets that it is UTF-8
      }
      const layout = { ...view.layout, title: { text: view.title, x: 0, xanchor: "left" }, paper_bgcolor: s.theme.background,
        margin: { ...view.layout.margin, t: 70 } };
      const url = await s.Plotly.toImage({ data: view.data, layout }, { format: kind.toLowerCase(),
        width: Math.max(plot.clientWidth, 520), height: view.layout.height + 40, scale: kind === "PNG" ? 2 : 1 });
      save(`${name}.${kind.toLowerCase()}`, url);
    };
    return button;
  })));
}

// The reader's value in the address, replaced and not pushed: scrubbing must not fill the history.
function writeAddress(s) {
  if (!s.head.parameter || location.pathname !== s.path) return; // the reader may have left with a move unreported
  const url = new URL(location.href), label = s.head.tokens[s.index];
  if (s.index === s.head.default) url.searchParams.delete(s.head.parameter);
  else url.searchParams.set(s.head.parameter, label);
  history.replaceState(history.state, "", url);
}

// Whether what is drawn is what Python used in its last run (ui/visit.js tells). A report is lost when the connection is
// away while the reader moves; and Python may know better (a browser that came back, a control with fewer values now).
function agree(s) {
  const heard = window.__ttSweeps?.[s.head.parameter];
  if (!heard) return true;
  if (s.report || s.index !== s.reported) return false; // the reader is moving it
  const [index, mark] = heard;
  if (s.mark !== null && mark !== s.mark) {
    const { testConnectionState: line = "CONNECTED", testScriptState: script } = document.querySelector("[data-testid=stApp]")?.dataset ?? {};
    if (line === "CONNECTED" && script !== "running" && Date.now() - s.mark > s.patience) {
      const patience = Math.min(2 * s.patience, 60000); // a server that is slow is not helped by shouting
      s.send();
      s.patience = patience;
    }
    return false;
  }
  if (index !== s.index) {
    s.index = s.reported = index;
    s.input.value = index;
    if (s.Plotly) paint(s);
  }
  return true;
}

// A few values that have names stand beside each other as buttons; the range input, which is out of sight, stays what they move.
function offerButtons(s, control) {
  const { head, input } = s;
  control.classList.toggle("tt-few", Boolean(head.buttons));
  control.querySelector("fieldset")?.remove();
  s.buttons = null;
  if (!head.buttons) return;
  const group = document.createElement("fieldset"), legend = document.createElement("legend");
  legend.textContent = head.label ?? "";
  s.buttons = head.labels.map((label, i) => {
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: `tt-${head.key}-of`, value: i });
    radio.onchange = () => { input.value = i; input.oninput(); input.onchange(); };
    return radio;
  });
  group.append(legend, ...s.buttons.map((radio, i) => {
    const label = document.createElement("label");
    label.append(radio, head.labels[i]);
    return label;
  }));
  control.append(group);
}

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".tt");
  const s = (root.__tt ??= { root, views: [], figures: [], index: null, mark: null, path: location.pathname });
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const start = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  // A run of the page that changes nothing here sends the same bytes again.
  if (!s.bytes || s.bytes.length !== bytes.length || !s.bytes.every((byte, i) => i < 4 || byte === bytes[i])) {
    Object.assign(s, { bytes: bytes.slice(), version: (s.version ?? 0) + 1 }, unpack(bytes.subarray(4)));
  }
  s.clicked = (cell) => setTriggerValue("cell", cell);
  s.faded = Object.fromEntries(Object.entries(s.head.twins).map(([a, b]) => [hex(a), hex(b)]));
  s.hero = Boolean(root.closest(".st-key-hero"));
  s.input = root.querySelector("input");
  s.output = root.querySelector("output");
  s.reading = root.querySelector(".tt-reading");
  const last = s.head.labels.length - 1;
  s.index = Math.min(s.index ?? start, last);
  s.reported = Math.min(s.reported ?? s.index, last);
  s.agree = s.head.parameter ? () => agree(s) : null;

  const control = root.querySelector(".tt-control");
  control.hidden = last === 0;
  const name = root.querySelector("label");
  name.textContent = s.head.label ?? "";
  s.input.id = name.htmlFor = `tt-${s.head.key}`;
  s.input.max = last;
  s.input.value = s.index;
  s.input.oninput = () => { s.index = +s.input.value; paint(s, true); };
  s.input.onchange = () => {
    s.index = +s.input.value;
    paint(s, true);
    clearTimeout(s.report); // a held arrow key is one move, not thirty
    s.report = setTimeout(s.send, 180);
  };
  s.send = () => {
    s.report = null;
    s.reported = s.index;
    s.mark = Date.now();
    s.patience = 3000;
    writeAddress(s);
    setStateValue("value", [s.index, s.mark]);
  };

  offerButtons(s, control);
  const panels = root.querySelector(".tt-panels");
  panels.style.setProperty("--tt-panel", `${s.head.panel_width ?? 270}px`);
  if (s.figures.length !== s.head.panels.length) {
    s.view?.disconnect();
    s.views = [];
    s.widths = null;
    s.figures = s.head.panels.map(() => {
      const figure = document.createElement("figure"), caption = document.createElement("figcaption"), plot = document.createElement("div");
      plot.className = "tt-plot";
      figure.append(caption, plot);
      return { figure, caption, plot };
    });
    panels.replaceChildren(...s.figures.map(({ figure }) => figure));
  }
  takeAway(s);
  followPaper(s);
  followView(s);
  s.reading.textContent = s.head.readings[s.index];

  loadPlotly(s.head.plotly).then((Plotly) => {
    s.Plotly = Plotly;
    panels.classList.remove("tt-wait");
    arrange(s, panels);
    draw(s, Boolean(s.rest)); // she may be moving it while the page runs
    s.figures.forEach((_, i) => hear(s, i));
  }).catch((error) => { panels.textContent = `The figure could not be drawn: ${error.message}. Reload the page.`; });

  s.size ??= new ResizeObserver(() => { if (s.Plotly && panels.clientWidth !== s.width) { s.width = panels.clientWidth; s.widths = null; arrange(s, panels); paint(s); } });
  s.size.observe(panels);
  // Streamlit changes the theme by changing CSS variables, and a presentation the size of type: that fires no event.
  s.watch ??= setInterval(() => {
    s.agree?.();
    if (s.Plotly && !s.paper && (readTheme(root).background !== s.theme?.background || scaleOf(s) !== s.scale)) paint(s);
  }, 1000);
  return () => {
    clearInterval(s.watch);
    clearTimeout(s.report);
    if (s.report) s.send(); // a move made just before must not be lost
    clearTimeout(s.rest);
    s.size?.disconnect();
    s.view?.disconnect();
    s.unfollow();
    s.figures.forEach(({ plot }) => s.Plotly?.purge(plot));
    delete root.__tt;
  };
}
