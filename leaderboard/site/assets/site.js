/* What the pages do beyond being read. No framework, no build step; without this file every page is still whole.

What the markup agrees on, beside what the templates show:

- This file is loaded in <head> without `defer`, so that the theme is set before anything is painted; plotly.min.js with
  `defer`, on pages that have plots. Data reaches the page as text nodes and attributes only, never as markup.
- `<form class="filters" data-key="KEY" data-tables="ID ID">`: fields are named tier, hardware and words; a field that would
  offer no choice is left out. What is chosen stands in the address as `#KEY.tier=verified&KEY.words=muon`. A chosen
  hardware also hides each `<section class="place" data-hardware="…">` of another one.
- `<figure class="plot">`: its script element holds {"traces", "axes", "layout"} (leaderboard/site/plots.py). A run's curve
  has none: it is drawn from the page's `<script id="run-data">` (leaderboard/site/run_view.py). Roles get their colours from the style sheet's --plot-ROLE, places of one role (meta.series) from --plot-ours-1 … -5.
- `<pre class="source" data-language="python|toml|markdown|text"><code>`: coloured and numbered when it comes into view.
- compare.html: `<form class="compare" hidden>` with two fields named a and b, and `<div id="comparison" aria-live="polite">`
  for the result. A field takes a run's id or the address of its page; a datalist offers the latest. `<script
  id="run-data">` of a run's page is the only copy of the data. */
'use strict';

// ---------------------------------------------------------------------------------------------------------------- theme

const THEME_KEY = 'theme';
const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const themeWatchers = new Set(); // functions to call when the colours changed

/** What the reader chose before; null where storage is closed to us, as on some file:// pages. */
function storedTheme() {
  try {
    const theme = localStorage.getItem(THEME_KEY);
    return theme === 'light' || theme === 'dark' ? theme : null;
  } catch {
    return null;
  }
}

function currentTheme() {
  return document.documentElement.dataset.theme;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  for (const button of document.querySelectorAll('button.theme')) {
    button.textContent = theme === 'dark' ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Switch to the ${theme === 'dark' ? 'light' : 'dark'} theme`);
  }
  for (const watcher of themeWatchers) watcher();
}

function startThemeButtons() {
  for (const button of document.querySelectorAll('button.theme')) {
    button.hidden = false;
    button.addEventListener('click', () => {
      const theme = currentTheme() === 'dark' ? 'light' : 'dark';
      try {
        localStorage.setItem(THEME_KEY, theme);
      } catch {
        // The choice then holds for this page alone.
      }
      setTheme(theme);
    });
  }
  setTheme(currentTheme());
  prefersDark.addEventListener('change', () => {
    if (!storedTheme()) setTheme(prefersDark.matches ? 'dark' : 'light');
  });
}

document.documentElement.dataset.theme = storedTheme() ?? (prefersDark.matches ? 'dark' : 'light'); // before any paint

// ------------------------------------------------------------------------------------------------------------- elements

/** An element with attributes and children; strings become text nodes. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The skip link without its address, which would take the place of the filters in ours. */
function startSkipLink() {
  document.querySelector('a.skip').addEventListener('click', (event) => {
    event.preventDefault();
    const main = document.getElementById('main');
    main.focus();
    main.scrollIntoView();
  });
}

/** Calls `work` once, as soon as the element is about to be seen. */
function whenSeen(element, work) {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      work();
    },
    { rootMargin: '300px' },
  );
  observer.observe(element);
}

// -------------------------------------------------------------------------------------------------------------- sorting

/** The text that a cell sorts by. */
function cellText(row, column) {
  const cell = row.cells[column];
  return cell ? (cell.dataset.value ?? cell.textContent).trim() : '';
}

/** The number that a text begins with, thousands' commas left out; NaN for none, such as a dash. */
function leadingNumber(text) {
  return parseFloat(text.replaceAll(',', ''));
}

const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

/** Sorts the rows of a table's body; rows without a value stay last in both directions, equal ones as they were. */
function sortRows(table, column, kind, descending) {
  const body = table.tBodies[0];
  const keyed = Array.from(body.rows, (row) => {
    const text = cellText(row, column);
    const key = kind === 'number' ? leadingNumber(text) : text;
    return { row, key, blank: kind === 'number' ? Number.isNaN(key) : text === '' || text === '–' };
  });
  keyed.sort((one, other) => {
    if (one.blank || other.blank) return one.blank - other.blank;
    const order = kind === 'number' ? one.key - other.key : collator.compare(one.key, other.key);
    return descending ? -order : order;
  });
  body.append(...keyed.map((each) => each.row));
}

/** Turns the headings of a table into buttons. */
function startSorting(table) {
  const headings = Array.from(table.tHead?.rows[0]?.cells ?? []);
  headings.forEach((heading, column) => {
    const kind = heading.dataset.sort;
    if (!kind) return;
    const button = make('button', { type: 'button', class: 'sort' }, ...heading.childNodes);
    heading.append(button);
    button.addEventListener('click', () => {
      const descending = heading.getAttribute('aria-sort') === 'ascending';
      for (const each of headings) each.removeAttribute('aria-sort');
      heading.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      sortRows(table, column, kind, descending);
    });
  });
}

// -------------------------------------------------------------------------------------------------------------- filters

const FILTER_FIELDS = ['tier', 'hardware', 'words'];

/** Whether the address names a place on the page, which says nothing of filters. */
function namesPlace() {
  return location.hash.length > 1 && !location.hash.includes('=');
}

/** The filters in the address. */
function addressFilters() {
  return new URLSearchParams(namesPlace() ? '' : location.hash.slice(1));
}

/** Lets a form choose among the rows of its tables, and among the page's places. */
function startFilter(form) {
  const tables = form.dataset.tables.split(' ').map((id) => document.getElementById(id));
  const rows = tables.flatMap((table) => Array.from(table.tBodies[0].rows));
  const places = document.querySelectorAll('section.place[data-hardware]');
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const output = form.querySelector('output');
  output.setAttribute('aria-live', 'polite');
  const field = (name) => form.elements.namedItem(name);
  const key = (name) => `${form.dataset.key}.${name}`;

  function apply() {
    const tier = field('tier')?.value ?? '';
    const hardware = field('hardware')?.value ?? '';
    const words = (field('words')?.value ?? '').toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const matches =
        (!tier || row.dataset.tier === tier) &&
        (!hardware || row.dataset.hardware === hardware) &&
        words.every((word) => texts.get(row).includes(word));
      row.hidden = !matches;
      shown += matches;
    }
    output.textContent = `${shown} of ${rows.length} ${rows.length === 1 ? 'row' : 'rows'}`;
    showPlaces(places, hardware);
  }

  function readAddress() {
    const filters = addressFilters();
    for (const name of FILTER_FIELDS) {
      const control = field(name);
      if (!control) continue;
      control.value = filters.get(key(name)) ?? '';
      if (control.value === '' && control.options) control.selectedIndex = 0; // an option that is not there
    }
    apply();
  }

  function writeAddress() {
    const filters = addressFilters();
    for (const name of FILTER_FIELDS) {
      const value = field(name)?.value ?? '';
      if (value) filters.set(key(name), value);
      else filters.delete(key(name));
    }
    const hash = filters.toString();
    if (hash || location.hash.includes('=')) {
      history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
    }
    apply();
  }

  form.addEventListener('input', writeAddress);
  form.addEventListener('submit', (event) => event.preventDefault());
  addEventListener('hashchange', () => {
    if (!namesPlace()) readAddress();
  });
  readAddress();
  form.hidden = false;
}

/** Shows the places of a kind of hardware, or with "" all of them. */
function showPlaces(places, hardware) {
  const back = Array.from(places).filter((place) => place.hidden && (!hardware || place.dataset.hardware === hardware));
  for (const place of places) place.hidden = Boolean(hardware) && place.dataset.hardware !== hardware;
  if (back.length) dispatchEvent(new Event('resize')); // their plots could not see how wide they are
}

// ---------------------------------------------------------------------------------------------------------------- plots

const PLACES = 5; // colours for places that share a role; more of them begin anew
const AXIS_BUTTONS = { elapsed_s: 'seconds', tokens: 'tokens', step: 'steps' };

/** A colour of the style sheet, resolved for today's theme: Plotly knows no variables. */
function colour(name) {
  const probe = make('span');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function traceColour(meta) {
  return colour(meta.role === 'ours' ? `plot-ours-${(meta.series % PLACES) + 1}` : `plot-${meta.role}`);
}

/** A trace as Plotly takes it: with its places on the chosen axis, and coloured. */
function paintedTrace(trace, values) {
  const painted = { ...trace, x: values, hoverlabel: { align: 'left' } };
  const paint = traceColour(trace.meta);
  if (trace.line) painted.line = { ...trace.line, color: paint, width: 2 };
  if (trace.marker) painted.marker = { ...trace.marker, color: paint, line: { color: paint, width: 2 } };
  return painted;
}

function paintedLayout(layout, title, log, width) {
  const ink = colour('ink');
  const axis = { gridcolor: colour('rule'), linecolor: colour('rule'), tickcolor: colour('rule'), automargin: true };
  const painted = {
    ...layout,
    height: layout.height ?? (width < 560 && layout.showlegend ? 420 : 340), // a narrow legend has many lines
    xaxis: { ...axis, ...layout.xaxis, title: { text: layout.xaxis?.type === 'date' ? '' : title } },
    yaxis: { ...axis, ...layout.yaxis },
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink },
    hoverlabel: { bgcolor: colour('panel'), bordercolor: colour('muted'), font: { color: ink }, namelength: -1 },
    legend: { orientation: 'h', x: 0, y: 1, yanchor: 'bottom' },
    margin: { l: 12, r: 16, t: 12, b: 12 },
    paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)',
    hovermode: 'closest',
    dragmode: matchMedia('(pointer: coarse)').matches ? false : 'zoom', // a finger scrolls the page
  };
  if (log) {
    // The whole of it: what was cut off at the top has room on this scale.
    painted.yaxis.type = 'log';
    delete painted.yaxis.range;
  }
  return painted;
}

const PLOT_CONFIG = {
  responsive: true,
  displayModeBar: false,
  displaylogo: false,
  showSendToCloud: false,
  showAxisRangeEntryBoxes: false,
  scrollZoom: false,
  showTips: false,
};

/** Draws a figure into its canvas, with buttons for other axes; draws it anew whenever the theme changes.
 *  Returns what to call before the figure is taken off the page. */
function startPlot(figure, drawing) {
  const canvas = figure.querySelector('.canvas');
  const choices = drawing.axes.x;
  const state = { axis: 0, log: false };

  function draw() {
    const chosen = choices[state.axis];
    const traces = drawing.traces.map((trace, index) => paintedTrace(trace, chosen.values[index]));
    Plotly.react(canvas, traces, paintedLayout(drawing.layout, chosen.title, state.log, canvas.clientWidth), PLOT_CONFIG);
  }

  const tools = make('div', { class: 'tools' });
  const axisButtons = choices.length < 2 ? [] : choices.map((axis, index) =>
    toolButton(AXIS_BUTTONS[axis.key] ?? axis.title, index === 0, () => {
      state.axis = index;
      axisButtons.forEach((button, place) => button.setAttribute('aria-pressed', place === index));
      draw();
    }),
  );
  if (axisButtons.length) tools.append(make('div', { role: 'group', 'aria-label': 'Horizontal axis' }, ...axisButtons));
  if (drawing.layout.meta?.log) {
    const button = toolButton('log scale', false, () => {
      state.log = !state.log;
      button.setAttribute('aria-pressed', state.log);
      draw();
    });
    tools.append(button);
  }
  if (tools.childElementCount) canvas.before(tools);
  canvas.replaceChildren();
  draw();
  themeWatchers.add(draw);
  return () => {
    themeWatchers.delete(draw);
    Plotly.purge(canvas);
  };
}

function toolButton(text, pressed, work) {
  const button = make('button', { type: 'button', class: 'tool', 'aria-pressed': pressed }, text);
  button.addEventListener('click', work);
  return button;
}

function startPlots(root) {
  for (const figure of root.querySelectorAll('figure.plot')) {
    const data = figure.querySelector('script[type="application/json"]') ?? document.getElementById('run-data');
    if (!data || !window.Plotly) continue;
    whenSeen(figure, () => {
      const known = JSON.parse(data.textContent);
      const drawing = known.curve ? curveDrawing([{ role: 'ours', name: 'training loss, declared', curve: known.curve }], known.levels) : known;
      if (drawing) startPlot(figure, drawing);
    });
  }
}

// --------------------------------------------------------------------------------------------------------------- curves

const CURVE_AXES = { elapsed_s: 'Training time (s)', tokens: 'Tokens', step: 'Steps' };
const EARLY_SHARE = 0.05; // of the training time: a loss starts so high that nothing else would show
const LOG_RATIO = 2; // of the highest to the lowest loss, from which on a logarithmic scale helps
const FARTHEST = 1e100; // an entry may log anything

function drawable(value) {
  return Number.isFinite(value) && Math.abs(value) <= FARTHEST;
}

/** A curve's points that have a loss and a time. */
function drawablePoints(curve) {
  const places = curve.loss_nats.map((loss, at) => at).filter((at) => drawable(curve.loss_nats[at]) && drawable(curve.elapsed_s[at]));
  return Object.fromEntries(Object.entries(curve).map(([key, values]) => [key, places.map((at) => values[at])]));
}

/** Training losses over each other, with levels such as the floor, by whatever axis a run has; null: nothing to draw. */
function curveDrawing(runs, levels = []) {
  const drawn = runs.map((run) => ({ ...run, curve: drawablePoints(run.curve) })).filter((run) => run.curve.loss_nats.length > 1);
  const axes = Object.keys(CURVE_AXES).flatMap((key) => {
    const places = drawn.map((run) => run.curve[key].map((value) => (drawable(value) ? value : null)));
    const known = places.flat().filter((value) => value !== null);
    const [first, last] = [Math.min(...known), Math.max(...known)];
    const ends = levels.map((level) => (level.role === 'score' ? [last] : [first, last]));
    return first < last ? [{ key, title: CURVE_AXES[key], values: [...places, ...ends] }] : [];
  });
  if (!axes.length) return null;
  const losses = drawn.flatMap((run) => run.curve.loss_nats);
  const hovertemplate = '%{y:.4f} nats a token<br>%{xaxis.title.text}: %{x}<extra></extra>';
  return {
    traces: [
      ...drawn.map(({ role, name, curve }) => ({
        type: 'scatter', mode: 'lines', name, y: curve.loss_nats, meta: { role, series: 0 }, line: {}, connectgaps: true, hovertemplate,
      })),
      ...levels.map(({ role, name, loss_nats: loss }) =>
        role === 'score'
          ? { type: 'scatter', mode: 'markers', name, y: [loss], meta: { role }, marker: { symbol: 'star', size: 12 }, cliponaxis: false, hovertemplate: `${name}<extra></extra>` }
          : { type: 'scatter', mode: 'lines', name, y: [loss, loss], meta: { role }, line: { dash: 'dash' }, hovertemplate: `${name}<extra></extra>` },
      ),
    ],
    axes: { x: axes },
    layout: {
      yaxis: { title: { text: 'Loss (nats/token)' }, range: lossRange(drawn, levels), zeroline: false },
      xaxis: { zeroline: false },
      showlegend: true,
      meta: { log: Math.min(...losses) > 0 && Math.max(...losses) > LOG_RATIO * Math.min(...losses) },
    },
  };
}

/** From the lowest to the highest loss after the first moments, with the levels in view; undefined: whatever fits. */
function lossRange(runs, levels) {
  const later = runs.flatMap(({ curve: { elapsed_s: at, loss_nats: loss } }) =>
    loss.filter((value, index) => at[index] >= at[0] + EARLY_SHARE * (at.at(-1) - at[0])),
  );
  if (later.length < 2) return undefined;
  const inside = [...later, ...levels.map((level) => level.loss_nats)];
  const [low, high] = [Math.min(...inside), Math.max(...inside)];
  const padding = 0.05 * (high - low) || 1;
  return [low - padding, high + padding];
}

// --------------------------------------------------------------------------------------------------------------- source

const PYTHON_KEYWORDS = new Set(
  ('False None True and as assert async await break case class continue def del elif else except finally for from global ' +
    'if import in is lambda match nonlocal not or pass raise return try while with yield').split(' '),
);

// A token is what its named group says; what no group takes is plain. A string without an end goes on to the last line
// (in three quotes) or to the end of its own. Soft keywords (match, case) are coloured wherever they stand. Sources are
// strangers': whatever may fail is bounded, or begins with a sign that it can't contain, so that no text takes longer
// than in step with its length.
const MOST_PAINTED = 100_000; // characters: beyond, a source is numbered only

const TOKENS = {
  python:
    /(?<comment>#.*)|(?<string>(?:\b[rbuft]{1,2})?(?:"""[^]*?(?:"""|$(?![^]))|'{3}[^]*?(?:'{3}|$(?![^]))|"(?:\\[^]|[^"\\\n])*"?|'(?:\\[^]|[^'\\\n])*'?))|(?<decorator>@(?<=^[ \t]*@)[\w.]+)|(?<number>\b(?:0[xob][\da-f_]+|\d[\d_]*(?:\.[\d_]*)?(?:e[+-]?\d+)?)j?)|(?<word>[\p{L}_][\p{L}\p{N}_]*)/gimu,
  toml:
    /(?<comment>#.*)|(?<string>"""[^]*?(?:"""|$(?![^]))|'''[^]*?(?:'''|$(?![^]))|"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?)|(?<name>^[ \t]*\[[^\n\]]{0,200}\]{1,2})|(?<decorator>^[ \t]*[\w.-]+(?=[ \t]*=))|(?<number>[+-]?\b\d[\w:.+-]*)|(?<keyword>\b(?:true|false)\b)/gm,
  markdown:
    /(?<string>^```[^]*?(?:^```|$(?![^]))|`[^`\n]+`)|(?<keyword>^#{1,6} .*)|(?<comment>^>.*|<!--[^]*?(?:-->|$(?![^])))|(?<name>\[[^\]\n]{0,200}\]\([^)\n]{0,400}\))|(?<number>\*\*[^*\n]+\*\*)/gm,
};

/** The pieces of a text as [kind, text]; kind "" is plain. Together they are the text. */
function tokens(text, language) {
  const pattern = TOKENS[language];
  if (!pattern || text.length > MOST_PAINTED) return [['', text]];
  const found = [];
  let end = 0;
  let before = ''; // the word before this one: what is defined has a name
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) found.push(['', text.slice(end, match.index)]);
    let kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    if (kind === 'word') {
      const word = match[0];
      kind = PYTHON_KEYWORDS.has(word) ? 'keyword' : before === 'def' || before === 'class' ? 'name' : '';
      before = word;
    }
    found.push([kind, match[0]]);
    end = match.index + match[0].length;
  }
  if (end < text.length) found.push(['', text.slice(end)]);
  return found;
}

/** Colours a source. */
function paintSource(code, language) {
  const painted = document.createDocumentFragment();
  for (const [kind, piece] of tokens(code.textContent, language)) {
    painted.append(kind ? make('span', { class: `t-${kind}` }, piece) : piece);
  }
  code.replaceChildren(painted);
}

/** Gives the style sheet the numbers of a source's lines, in one piece: an element a line would take seconds. */
function numberLines(source, text) {
  const count = text.replace(/\n$/, '').split('\n').length;
  source.dataset.numbers = Array.from({ length: count }, (_, index) => index + 1).join('\n');
  source.classList.add('numbered');
}

function startSources() {
  for (const source of document.querySelectorAll('pre.source')) {
    const code = source.querySelector('code');
    whenSeen(source, () => {
      paintSource(code, source.dataset.language);
      numberLines(source, code.textContent);
    });
  }
}

// -------------------------------------------------------------------------------------------------------------- compare

const RUN_ID = /^[0-9]{8}-[0-9]{6}-[a-z0-9][a-z0-9_-]{0,39}-[0-9a-f]{4,32}$/;

/** What to tell the reader: a run that can't be shown. */
class Missing extends Error {}

/** The run id in what a reader typed: an id, or the address of a run's page. */
function idOf(typed) {
  return typed.trim().replace(/^.*\/runs\//, '').replace(/\.html.*$/, '');
}

/** The data of a run's page. Throws Missing with a sentence for the reader. */
async function runData(id) {
  if (!RUN_ID.test(id)) throw new Missing(`“${id.slice(0, 100)}” is no run id, such as 20261121-141530-baseline-3f9a.`);
  if (location.protocol === 'file:') {
    throw new Missing('Pages that are opened from a file may not read each other: serve the folder (python -m http.server).');
  }
  let text;
  try {
    const answer = await fetch(`runs/${id}.html`);
    if (answer.status === 404) throw new Missing(`There is no run ${id} on this site.`);
    if (!answer.ok) throw new Missing(`The page of run ${id} can’t be read (${answer.status}).`);
    text = await answer.text();
  } catch (error) {
    throw error instanceof Missing ? error : new Missing(`The page of run ${id} can’t be reached.`);
  }
  const page = new DOMParser().parseFromString(text, 'text/html');
  try {
    return JSON.parse(page.getElementById('run-data').textContent);
  } catch {
    throw new Missing(`The page of run ${id} holds no data.`);
  }
}

/** A number with so many decimals, or a dash. */
function shown(value, digits) {
  return Number.isFinite(value) ? value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }) : '–';
}

/** How much more the second is than the first, in its unit and in percent. */
function difference(a, b, digits) {
  if (!Number.isFinite(a) || !Number.isFinite(b)) return '–';
  if (a === b) return 'none';
  const sign = b > a ? '+' : '−';
  const share = a ? ` (${sign}${shown(Math.abs((b - a) / a) * 100, 2)} %)` : '';
  return `${sign}${shown(Math.abs(b - a), digits)}${share}`;
}

function lastKnown(values = []) {
  return values.findLast((value) => Number.isFinite(value));
}

/** Why the results of two runs can't be held against each other. */
function differences(a, b) {
  if (a.track !== b.track) return [a.conditions[0][1]]; // nothing else is of weight then
  return a.conditions.flatMap(([value, words], place) => (value === b.conditions[place][0] ? [] : [words]));
}

/** comparable: whether it means anything by how much the results differ. */
function comparisonTable(a, b, comparable) {
  const words = [
    ['Entry', a.entry, b.entry],
    ['Track', a.track, b.track],
    ['Verdict', a.verdict, b.verdict],
  ];
  const numbers = [
    ['Loss (nats/token)', a.loss_nats, b.loss_nats, 4, comparable],
    ['Training time (s)', a.train_s, b.train_s, 2, comparable],
    ['Last training loss (declared)', lastKnown(a.curve?.loss_nats), lastKnown(b.curve?.loss_nats), 4],
    ['Steps (declared)', lastKnown(a.curve?.step), lastKnown(b.curve?.step), 0],
    ['Tokens (declared)', lastKnown(a.curve?.tokens), lastKnown(b.curve?.tokens), 0],
  ];
  const link = (run, letter) => make('a', { href: `runs/${run.run_id}.html`, class: `run-${letter}` }, run.run_id);
  const row = (name, ...cells) => make('tr', {}, make('th', { scope: 'row' }, name), ...cells);
  const number = (text) => make('td', { class: 'number' }, text);
  const heading = (...content) => make('th', { scope: 'col', class: 'number' }, ...content);
  const caption = `${a.entry} beside ${b.entry}`;
  return make('div', { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: 0 }, make('table', { id: 'compared' },
    make('caption', {}, caption),
    make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, ''), heading(link(a, 'a')), heading(link(b, 'b')), heading('Second less first'))),
    make('tbody', {},
      ...words.map(([name, one, other]) => row(name, number(one ?? '–'), number(other ?? '–'), number(one === other ? 'the same' : 'differs'))),
      ...numbers.map(([name, one, other, digits, told = true]) => row(name, number(shown(one, digits)), number(shown(other, digits)), number(told ? difference(one, other, digits) : '–'))),
    )));
}

let asked = 0; // how many comparisons: an answer to any but the last comes too late
let endPlot = () => {}; // of the comparison that is shown

/** Shows two runs side by side; without both ids, how to name them. */
async function compare(ids, place) {
  const turn = ++asked;
  endPlot();
  endPlot = () => {};
  if (!ids.every(Boolean)) {
    place.replaceChildren(make('p', { class: 'hint' }, 'Name two runs: the fields offer the latest, and take the id of any or the address of its page.'));
    return;
  }
  place.replaceChildren(make('p', { class: 'hint' }, 'Reading both runs …'));
  const found = await Promise.allSettled(ids.map(runData));
  if (turn !== asked) return;
  const missing = found.filter((each) => each.status === 'rejected');
  if (missing.length) {
    place.replaceChildren(...missing.map((each) => make('p', { class: 'missing' }, each.reason.message)));
    return;
  }
  const [a, b] = found.map((each) => each.value);
  place.replaceChildren();
  const unlike = differences(a, b);
  if (unlike.length) place.append(make('p', { class: 'missing' }, `Not comparable: ${unlike.join('; ')}.`));
  for (const run of [a, b]) {
    if (run.against) place.append(make('p', { class: 'missing' }, `${run.run_id} is retracted: ${run.against}`));
  }
  place.append(comparisonTable(a, b, unlike.length === 0));
  const drawing = curveDrawing([
    { role: 'a', name: `first: ${a.entry}`, curve: a.curve }, // an entry's name is letters, digits, - and _
    { role: 'b', name: `second: ${b.entry}`, curve: b.curve },
  ]);
  if (!drawing || !window.Plotly) return;
  const label = `Training loss of ${a.entry} and ${b.entry}, as declared: the last ones are ` +
    `${shown(lastKnown(a.curve.loss_nats), 4)} and ${shown(lastKnown(b.curve.loss_nats), 4)} nats a token.`;
  const figure = make('figure', { class: 'plot', 'data-kind': 'curve' },
    make('figcaption', {}, 'Training loss, as declared'),
    make('div', { class: 'canvas', role: 'img', 'aria-label': label }));
  place.append(figure);
  endPlot = startPlot(figure, drawing);
}

function startCompare() {
  const form = document.querySelector('form.compare');
  const place = document.getElementById('comparison');
  if (!form || !place) return;
  const fields = ['a', 'b'].map((name) => form.elements.namedItem(name));

  function readAddress() {
    const query = new URLSearchParams(location.search);
    for (const field of fields) field.value = idOf(query.get(field.name) ?? '');
    compare(fields.map((field) => field.value), place);
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const query = new URLSearchParams(fields.map((field) => [field.name, idOf(field.value)]));
    history.pushState(null, '', `?${query}`);
    readAddress();
  });
  addEventListener('popstate', readAddress);
  form.hidden = false;
  readAddress();
  const [first, second] = fields;
  if (first.value && !second.value) second.focus(); // from the page of a run
}

// ---------------------------------------------------------------------------------------------------------------- start

document.addEventListener('DOMContentLoaded', () => {
  startThemeButtons();
  startSkipLink();
  for (const table of document.querySelectorAll('table.sortable')) startSorting(table);
  for (const form of document.querySelectorAll('form.filters')) startFilter(form);
  startPlots(document);
  startSources();
  startCompare();
});
