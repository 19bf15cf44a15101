// The drawing of the map and the places of its pins. A part is drawn in units of its own; a sheet says where each part
// stands: side by side on a wide screen, in two rows on a tablet, below each other on a phone.
//
// Rules of the hand: data flows upwards; a pin sits on the left edge of what it asks about, or on the line; no line crosses
// a word (tests/browser/test_home.py measures that).

const make = (name, attributes = {}, text) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  return node;
};

const box = (x, y, width, height, fill, label = "", kind = "") => [
  make("rect", { class: `box ${fill}`, x, y, width, height, rx: 7 }),
  ...(label ? [make("text", { class: `middle ${kind}`, x: x + width / 2, y: y + height / 2 + 5.5 }, label)] : []),
];
const panel = (x, y, width, height) => make("rect", { class: "panel", x, y, width, height, rx: 12 });
const words = (x, y, text, kind = "") => make("text", { class: kind, x, y }, text);
const line = (d, kind = "wire") => make("path", { class: kind, d });
const arrow = (d) => make("path", { class: "wire", d, "marker-end": "url(#arrow)" });

const hatched = (x, y, size) => [
  make("rect", { class: "cell", x, y, width: size, height: size }),
  line(`M${x} ${y + size} L${x + size} ${y}`, "hatch"),
];

// A square of weights, each row sharing 1 between the words that it may see; the rest is hidden.
function weights(x, y, size, n) {
  return [...Array(n * n).keys()].flatMap((at) => {
    const row = Math.floor(at / n), column = at % n, left = x + column * size, top = y + row * size;
    if (column > row) return hatched(left, top, size);
    const share = Math.exp(Math.sin(3 * row + 5 * column)), all = [...Array(row + 1).keys()].reduce((sum, k) => sum + Math.exp(Math.sin(3 * row + 5 * k)), 0);
    return [make("rect", { class: "cell ink", x: left, y: top, width: size, height: size, "fill-opacity": (share / all) ** 0.7 })];
  });
}

// Wide in the middle: from the model's width to the wider one and back.
function feedForward(cx, top, height, half) {
  const x = (share) => cx + share * half, y = (share) => top + share * height;
  return make("path", { class: "box ffn", "stroke-linejoin": "round",
    d: `M${x(-.5)} ${y(0)} H${x(.5)} L${x(1)} ${y(.32)} V${y(.68)} L${x(.5)} ${y(1)} H${x(-.5)} L${x(-1)} ${y(.68)} V${y(.32)} Z` });
}

// Words with a position each: a wave of its own comes in from the left.
function embedded(cx, plus, tokens, row, from) {
  return [
    make("circle", { class: "box plain", cx, cy: plus, r: 13 }), line(`M${cx - 6} ${plus} h12 M${cx} ${plus - 6} v12`, "sign"),
    line(`M${from} ${plus} q8 -17 16 0 t16 0 t16 0`), arrow(`M${from + 52} ${plus} H${cx - 14}`), arrow(`M${cx} ${row} V${plus + 14}`),
    ...tokens.flatMap((token, i) => box(cx - tokens.length * 29.5 + 1.5 + i * 59, row, 56, 32, token === "pad" ? "pad" : "emb", token)),
  ];
}

const PARTS = {
  head: {
    draw: () => [
      panel(16, 0, 300, 560), panel(8, 8, 300, 560), panel(0, 16, 300, 560),
      words(18, 46, "Inside one attention head", "title"),
      ...box(28, 92, 244, 36, "att", "weighted sum of V"), arrow("M150 92 V64"),
      ...box(28, 168, 140, 36, "att", "softmax"), arrow("M98 168 V130"),
      ...box(28, 244, 140, 36, "att", "mask: −∞"), arrow("M98 244 V206"),
      ...box(28, 320, 140, 36, "att", "÷ √dₖ"), arrow("M98 320 V282"),
      ...box(28, 396, 140, 36, "att", "Q Kᵀ, N × N"), arrow("M98 396 V358"),
      ...box(28, 496, 58, 36, "plain", "Q", "query"), arrow("M57 496 V434"), words(57, 554, "query", "quiet middle"),
      ...box(110, 496, 58, 36, "plain", "K", "key"), arrow("M139 496 V434"), words(139, 554, "key", "quiet middle"),
      ...box(214, 496, 58, 36, "plain", "V", "value"), arrow("M243 496 V130"), words(243, 554, "value", "quiet middle"),
      ...weights(181, 218, 9, 6), words(208, 288, "decoder", "quiet middle"),
    ],
    pins: { multi_head: [300, 16], scaling: [28, 338], masking: [28, 262], quadratic_cost: [28, 414], query_key_value: [28, 514] },
  },
  kinds: {
    draw: () => [
      words(20, 17, "One half, or both?", "quiet"),
      ...box(10, 36, 40, 40, "plain", "E"), words(30, 98, "BERT", "quiet middle"),
      ...box(84, 36, 40, 40, "plain", "D"), words(104, 98, "GPT", "quiet middle"),
      ...box(158, 36, 40, 40, "plain", "E"), ...box(216, 36, 40, 40, "plain", "D"), arrow("M198 56 H215"), words(207, 98, "T5", "quiet middle"),
    ],
    pins: { encoder_decoder: [0, 12] },
  },
  encoder: {
    draw: () => [
      make("rect", { class: "frame", x: 0, y: 40, width: 250, height: 316, rx: 12 }),
      words(8, 30, "Encoder", "title"), words(244, 30, "× L", "quiet end"),
      ...box(30, 288, 180, 36, "att", "self-attention"), ...box(30, 232, 180, 30, "norm", "add, norm"), ...box(30, 56, 180, 30, "norm", "add, norm"),
      feedForward(120, 112, 92, 90), words(120, 146, "feed-forward", "middle"), line("M80 169 C94 169 98 173 105 172 C112 171 116 164 126 152", "curve"),
      arrow("M120 381 V326"), arrow("M120 288 V264"), arrow("M120 232 V206"), arrow("M120 112 V88"),
      arrow("M120 340 H230 V247 H212"), arrow("M120 219 H230 V71 H212"),
      ...embedded(120, 394, ["the", "cat", "sleeps", "pad"], 434, 28),
    ],
    pins: { layer_norm: [30, 247], pre_post_norm: [30, 71], feed_forward: [30, 158], ffn_ratio: [210, 158], gelu: [144, 174],
      residuals: [230, 292], positions: [14, 394], padding: [242, 432] },
  },
  decoder: {
    draw: () => [
      make("rect", { class: "frame", x: 0, y: 132, width: 268, height: 388, rx: 12 }),
      words(8, 122, "Decoder", "title"), words(262, 122, "× L", "quiet end"),
      ...box(102, 0, 56, 30, "emb", "dort"), ...box(32, 54, 196, 34, "emb", "logits, softmax"), arrow("M130 54 V32"),
      ...box(32, 454, 196, 34, "att", "masked self-attention"), ...box(32, 402, 196, 28, "norm", "add, norm"),
      ...box(32, 340, 196, 34, "att", "cross-attention"), ...box(32, 288, 196, 28, "norm", "add, norm"),
      feedForward(130, 198, 64, 98), words(130, 235.5, "feed-forward", "middle"), ...box(32, 146, 196, 28, "norm", "add, norm"),
      arrow("M130 545 V490"), arrow("M130 454 V432"), arrow("M130 402 V376"), arrow("M130 340 V318"), arrow("M130 288 V264"), arrow("M130 198 V176"), arrow("M130 146 V90"),
      arrow("M130 504 H248 V416 H230"), arrow("M130 389 H248 V302 H230"), arrow("M130 276 H248 V160 H230"),
      ...embedded(130, 558, ["⟨s⟩", "le", "chat"], 598, 38),
      ...[224, 283].map((x, i) => make("rect", { class: "ghost", x, y: 598, width: 56 - 16 * i, height: 32, rx: 7, opacity: 1 - 0.35 * i })),
    ],
    pins: { extrapolation: [273, 614] },
  },
  training: {
    draw: () => [
      panel(0, 0, 164, 296), words(14, 30, "Training it", "title"), words(42, 67, "target", "quiet"),
      ...[0.06, 0.88, 0.06].map((share, i) => make("rect", { class: "solid", x: 34 + i * 38, y: 148 - 64 * share, width: 24, height: 64 * share })),
      line("M20 148 H144", "axis"), words(42, 191, "learning rate", "quiet"),
      line(`M20 270 L48 212 ${[...Array(24).keys()].map((k) => `L${52 + 4 * k} ${(270 - 58 * Math.sqrt(28 / (32 + 4 * k))).toFixed(1)}`).join(" ")}`, "curve"), line("M20 270 H144", "axis"),
    ],
    pins: { label_smoothing: [24, 62], warmup: [24, 186] },
  },
  whole: {
    draw: () => [
      panel(0, 0, 164, 320), words(14, 30, "As a whole", "title"), words(42, 67, "parameters", "quiet"),
      ...[0, 1, 2, 3].map((i) => make("rect", { class: "box att", x: 22 + 30 * i, y: 84, width: 30, height: 30 })),
      ...[0, 1].map((i) => make("rect", { class: "box ffn", x: 22, y: 114 + 30 * i, width: 120, height: 30 })),
      words(42, 209, "what can it", "quiet"), words(42, 228, "compute?", "quiet"),
      line("M32 256 L131 294 M65 256 L32 294 M98 256 L65 294 M131 256 L98 294", "curve"),
      ...[256, 294].flatMap((y) => [32, 65, 98, 131].map((cx) => make("circle", { class: "box plain", cx, cy: y, r: 6 }))),
    ],
    pins: { parameters: [24, 62], universality: [24, 209] },
  },
};

const SHEETS = {
  wide: {
    size: [1184, 646],
    at: { head: [0, 54], kinds: [370, 16], encoder: [364, 168], decoder: [684, 4], training: [1020, 4], whole: [1020, 320] },
    joins: () => [
      line("M394 474 H317", "zoom"), line("M484 224 V176 H649 V361", "wire"), arrow("M649 361 H714"), words(965, 64, "loss", "quiet middle"), arrow("M912 75 H1018"),
    ],
    pins: { cross_attention: [649, 296] },
  },
  tablet: {
    size: [690, 1312],
    at: { head: [0, 54], kinds: [376, 16], encoder: [380, 168], decoder: [44, 672], training: [476, 672], whole: [476, 988] },
    joins: () => [
      line("M410 474 H317", "zoom"), line("M500 224 V176 H662 V652 H18 V1029", "wire"), arrow("M18 1029 H74"), words(392, 732, "loss", "quiet middle"), arrow("M272 743 H474"),
    ],
    pins: { cross_attention: [18, 964] },
  },
  narrow: {
    size: [340, 2196],
    at: { head: [10, 10], kinds: [42, 622], encoder: [45, 752], decoder: [4, 1252], training: [4, 1904], whole: [176, 1904] },
    joins: () => [
      arrow("M165 808 V756"), words(177, 763, "to the decoder", "quiet"), arrow("M-4 1609 H34"),
    ],
    pins: { cross_attention: [36, 1609] },
  },
};

// A sheet as SVG, its size, and where each pin stands on it.
function sheet(name) {
  const { size: [width, height], at, joins, pins } = SHEETS[name];
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, class: name, "aria-hidden": "true", focusable: "false" });
  const tip = make("marker", { id: `arrow-${name}`, viewBox: "0 0 8 8", refX: 6.5, refY: 4, markerWidth: 6.5, markerHeight: 6.5, orient: "auto" });
  tip.append(make("path", { class: "tip", d: "M0 0 L8 4 L0 8 z" }));
  svg.append(make("defs"));
  svg.firstChild.append(tip);
  const places = {};
  const joined = make("g");
  joined.append(...joins());
  svg.append(joined);
  for (const [part, [dx, dy]] of Object.entries(at)) {
    const group = make("g", { transform: `translate(${dx} ${dy})`, "data-part": part });
    group.append(...PARTS[part].draw());
    svg.append(group);
    for (const [slug, [x, y]] of Object.entries(PARTS[part].pins)) places[slug] = [x + dx, y + dy];
  }
  Object.assign(places, pins);
  // Of two markers of one name, browsers take the first, which may be on the sheet that is not shown.
  for (const wire of svg.querySelectorAll("[marker-end]")) wire.setAttribute("marker-end", `url(#arrow-${name})`);
  return { name, svg, places, size: [width, height] };
}
