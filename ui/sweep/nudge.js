// Between two values of a control most of a picture stays: a line bends, a bar grows, a rule moves. While the reader
// moves, only that is painted, straight into what Plotly has drawn, in a millisecond or two. As soon as she rests, Plotly
// draws the figure itself (sweep.js), so whatever stands is Plotly's. What cannot be painted so, Plotly draws at once.

// Equal by value; long numbers are compared by identity, since equal ones were sent once.
function same(a, b) {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object" || ArrayBuffer.isView(a)) return false;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((one, i) => same(one, b[i]));
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => name in b && same(a[name], b[name]));
}

const changed = (a, b) => [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => !same(a[name], b[name]));
const within = (names, allowed) => names.every((name) => allowed.includes(name));

const FAR = 4000; // pixels: nothing beyond is seen, and SVG keeps its precision
const px = (value) => Math.max(-FAR, Math.min(FAR, Math.round(value * 100) / 100));

// The runs of points that hang together; the empty values between them are gaps.
function runs(xs, ys) {
  const found = [];
  let run = [];
  for (let k = 0; k < xs.length; k++) {
    if (Number.isFinite(xs[k]) && Number.isFinite(ys[k])) run.push([px(xs[k]), px(ys[k])]);
    else if (run.length) { found.push(run); run = []; }
  }
  if (run.length) found.push(run);
  return found;
}

function stroke(run, steps) {
  let d = "M" + run[0].join();
  for (let k = 1; k < run.length; k++) d += steps ? `H${run[k][0]}V${run[k][1]}` : "L" + run[k].join();
  return d;
}

const axis = (full, id, kind) => full[`${kind}axis${(id ?? kind).slice(1)}`];

// Where the values of a trace lie on the screen now, also after the reader has zoomed.
function places(full, trace) {
  const x = axis(full, trace.xaxis, "x"), y = axis(full, trace.yaxis, "y");
  const along = (one, values) => Array.from(values, (v) => one.d2p(v));
  return { x, y, xs: along(x, trace.x), ys: along(y, trace.y) };
}

function scatter(full, node, next, jobs) {
  const mode = next.mode ?? "lines", steps = next.line?.shape === "hv";
  if (next.line?.shape && !["hv", "linear"].includes(next.line.shape)) return false;
  if (mode.includes("text") || !["none", "tozeroy", "toself", undefined].includes(next.fill)) return false;
  const { y, xs, ys } = places(full, next), parts = runs(xs, ys);
  const lines = [...node.querySelectorAll(".js-line")], fill = node.querySelector(".js-fill");
  if (mode.includes("lines")) {
    if (lines.length !== parts.length) return false;
    parts.forEach((run, k) => jobs.push([lines[k], "d", stroke(run, steps)]));
  }
  if (next.fill && next.fill !== "none") {
    if (!fill || !parts.length || (next.fill === "tozeroy" && parts.length > 1)) return false;
    const floor = px(y.type === "log" ? y._length : Math.max(-FAR, y.d2p(0)));
    jobs.push([fill, "d", next.fill === "toself" ? parts.map((run) => stroke(run, steps) + "Z").join("")
      : `M${parts[0].at(-1)[0]},${floor}L${parts[0][0][0]},${floor}${stroke(parts[0], steps).replace("M", "L")}Z`]);
  }
  if (mode.includes("markers")) {
    const marks = [...node.querySelectorAll(".points > .point")], seen = parts.flat();
    if (marks.length !== seen.length) return false;
    seen.forEach((at, k) => jobs.push([marks[k], "transform", `translate(${at.join()})`]));
  }
  return true;
}

function bar(full, node, next, known, jobs) {
  const sides = [...node.querySelectorAll(".points > .point > path")];
  if (next.orientation === "h" || next.text || next.base || sides.length !== next.y.length) return false;
  const { x, y, ys } = places(full, next), floor = px(y.type === "log" ? y._length : y.d2p(0));
  for (let k = 0; k < ys.length; k++) {
    const left = px(x.c2p(known[k].p0)), right = px(x.c2p(known[k].p1));
    const top = Number.isFinite(ys[k]) ? px(ys[k]) : floor;
    jobs.push([sides[k], "d", `M${left},${floor}V${top}H${right}V${floor}Z`]);
  }
  return true;
}

// Colours of a scale as [position, red, green, blue].
function stops(scale) {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  return scale.map(([at, colour]) => {
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [at, ...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  });
}

function tint(scale, share) {
  const t = Math.max(0, Math.min(1, share));
  const k = Math.max(1, scale.findIndex(([at]) => at >= t)), [a, b] = [scale[k - 1], scale[k]];
  const part = b[0] > a[0] ? (t - a[0]) / (b[0] - a[0]) : 0;
  return [1, 2, 3].map((i) => Math.round(a[i] + part * (b[i] - a[i])));
}

const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);

// Black or white, whichever is read better on this colour: always 4.5 to 1 or more.
const ink = (colour) => (light(colour) > 0.179 ? "#000000" : "#ffffff");

// The cells' colours, drawn as Plotly draws them: a pixel's gap between neighbours, nothing where there is no number.
function heatmap(full, node, next, jobs) {
  const image = node.querySelector("image"), z = next.z, high = z.length, wide = z[0].length;
  const labels = [...node.querySelectorAll(".heatmap-label > text")], digits = /^%\{z:\.(\d)f\}$/.exec(next.texttemplate ?? "");
  if (!image || !Array.isArray(next.colorscale) || next.x || next.y || next.text || next.zmin === undefined) return false;
  if (next.texttemplate && (!digits || labels.length !== high * wide || next.textfont?.color)) return false;
  const [w, h] = ["width", "height"].map((name) => Math.round(image.getAttribute(name)));
  const [left, top] = ["x", "y"].map((name) => +image.getAttribute(name));
  const canvas = Object.assign(document.createElement("canvas"), { width: w, height: h }), pen = canvas.getContext("2d");
  const scale = stops(next.colorscale), gap = [next.xgap ?? 0, next.ygap ?? 0];
  const edge = (one, k, start) => Math.round(one.c2p(k) - start);
  for (let r = 0; r < high; r++) for (let c = 0; c < wide; c++) {
    const value = z[r][c], [x0, x1] = [edge(full.xaxis, c - 0.5, left), edge(full.xaxis, c + 0.5, left)].sort((a, b) => a - b);
    const [y0, y1] = [edge(full.yaxis, r - 0.5, top), edge(full.yaxis, r + 0.5, top)].sort((a, b) => a - b);
    if (!Number.isFinite(value)) { if (digits) return false; continue; }
    const colour = tint(scale, (value - next.zmin) / (next.zmax - next.zmin || 1));
    pen.fillStyle = `rgb(${colour})`;
    pen.fillRect(x0 + gap[0] / 2, y0 + gap[1] / 2, x1 - x0 - gap[0], y1 - y0 - gap[1]);
    if (digits) jobs.push([labels[r * wide + c], "text", value.toFixed(digits[1]).replace("-", "−")], [labels[r * wide + c], "fill", ink(colour)]);
  }
  jobs.push([image, "href", canvas.toDataURL()]);
  return true;
}

// Plotly writes numbers dark grey or white; in the middle of a scale that is 3 to 1.
function inkNumbers(plot, trace) {
  if (!trace?.texttemplate) return;
  const scale = stops(trace.colorscale);
  for (const { firstChild: text, __data__: cell } of plot.querySelectorAll(".heatmap-label")) {
    if (Number.isFinite(cell?.z)) text.style.fill = ink(tint(scale, (cell.z - trace.zmin) / (trace.zmax - trace.zmin || 1)));
  }
}

// Rules and frames. Shapes are placed by value, on a logarithmic axis too.
function shape(full, plot, k, next, jobs) {
  const path = plot.querySelector(`.shapelayer path[data-index="${k}"]`), size = full._size;
  if (!path || !["line", "rect"].includes(next.type)) return false;
  const at = (value, ref, kind) => {
    if (ref === "paper") return kind === "x" ? size.l + size.w * value : size.t + size.h * (1 - value);
    const one = axis(full, ref, kind);
    return one._offset + one.d2p(value);
  };
  const [x0, x1] = [at(next.x0, next.xref, "x"), at(next.x1, next.xref, "x")].map(px);
  const [y0, y1] = [at(next.y0, next.yref, "y"), at(next.y1, next.yref, "y")].map(px);
  jobs.push([path, "d", next.type === "line" ? `M${x0},${y0}L${x1},${y1}` : `M${x0},${y0}H${x1}V${y1}H${x0}Z`]);
  return true;
}

// Words move with what they name. Annotations are placed by what an axis counts in: powers of ten on a logarithmic one.
function note(full, plot, k, before, next, jobs) {
  const group = plot.querySelector(`.annotation[data-index="${k}"]`), size = full._size;
  const words = group?.querySelector("text"), box = group?.querySelector(".bg");
  if (!words || /[<&]/.test(before.text + next.text)) return false;
  const old = +box.getAttribute("width");
  let wide = old;
  if (next.text !== before.text) {
    const pen = document.createElement("canvas").getContext("2d"), { fontSize, fontFamily } = words.style;
    pen.font = `${fontSize} ${fontFamily}`;
    wide += pen.measureText(next.text).width - pen.measureText(before.text).width;
    jobs.push([words, "text", next.text]);
  }
  const at = (one, kind) => {
    const ref = one[`${kind}ref`], value = one[kind];
    if (ref === "paper") return kind === "x" ? size.l + size.w * value : size.t + size.h * (1 - value);
    const on = axis(full, ref, kind);
    return on._offset + on.l2p(value);
  };
  const left = (one, width) => at(one, "x") + (one.xshift ?? 0) - width * { left: 0, center: 0.5, right: 1 }[one.xanchor ?? "center"];
  // The words are written about the middle of their old box.
  const dx = left(next, wide) - left(before, old) + (wide - old) / 2, dy = at(next, "y") - at(before, "y");
  if (!Number.isFinite(dx + dy)) return false;
  jobs.push([group, "transform", `translate(${px(dx)},${px(dy)})`]);
  return true;
}

// A part moves out of what its axis shows, or the axis follows its data: then Plotly must say where everything goes.
function held(view, kind, id) {
  return Boolean(view.layout[`${kind}axis${(id ?? kind).slice(1)}`]?.range);
}

const WRITE = {
  text: [(e) => e.textContent, (e, v) => { e.textContent = v; }],
  fill: [(e) => e.style.fill, (e, v) => { e.style.fill = v; }],
};
const writer = (name) => WRITE[name] ?? [(e) => e.getAttribute(name), (e, v) => (v === null ? e.removeAttribute(name) : e.setAttribute(name, v))];

// What Plotly has drawn, as it was.
function restore(place) {
  for (const [element, name, value] of (place.nudged ?? []).reverse()) writer(name)[1](element, value);
  place.nudged = [];
}

// Paints what differs from the view that Plotly has drawn; false, with nothing painted, if that is too much.
function nudge(place, next) {
  const { plot, base } = place, full = plot._fullLayout, jobs = [];
  if (!base || !full || base.data.length !== next.data.length || plot.calcdata?.length !== next.data.length) return false;
  restore(place);
  for (const name of changed(base.layout, next.layout)) {
    if (["meta", "title"].includes(name)) continue;
    const [before, after] = [base.layout[name], next.layout[name]];
    if (!["shapes", "annotations"].includes(name) || before?.length !== after?.length) return false;
    for (let k = 0; k < after.length; k++) {
      const parts = changed(before[k], after[k]);
      if (!parts.length) continue;
      const done = name === "shapes" ? within(parts, ["x0", "x1", "y0", "y1"]) && shape(full, plot, k, after[k], jobs)
        : within(parts, ["x", "y", "text", "xanchor", "xshift"]) && note(full, plot, k, before[k], after[k], jobs);
      if (!done) return false;
    }
  }
  for (let i = 0; i < next.data.length; i++) {
    const [before, after] = [base.data[i], next.data[i]], parts = changed(before, after), known = plot.calcdata[i];
    if (!parts.length) continue;
    const node = known[0]?.node3?.node();
    const free = after.showscale === false ? ["zmin", "zmax"] : [];
    if (!node || !within(parts, ["x", "y", "z", "customdata", "hovertemplate", "text", ...free])) return false;
    if (["x", "y"].some((kind) => parts.includes(kind) && !held(base, kind, after[`${kind}axis`]))) return false;
    const kind = after.type ?? "scatter";
    if (kind === "scatter" && !scatter(full, node, after, jobs)) return false;
    if (kind === "bar" && (parts.includes("x") || full.barmode === "stack" || !bar(full, node, after, known, jobs))) return false;
    if (kind === "heatmap" && (before.z.length !== after.z.length || before.z[0].length !== after.z[0].length
      || !heatmap(full, node, after, jobs))) return false;
    if (!["scatter", "bar", "heatmap"].includes(kind)) return false;
  }
  for (const [element, name, value] of jobs) {
    const [read, write] = writer(name);
    place.nudged.push([element, name, read(element)]);
    write(element, value);
  }
  return true;
}
