// Charts from data that the page carries. A chart is
//
//   <figure class="chart">
//     <figcaption>...</figcaption>
//     <div class="plot"></div>
//     <script type="application/json">DATA</script>          (a data block: the policy lets it be, nothing runs it)
//     <details>... the same numbers as a table ...</details>
//   </figure>
//
// with DATA = {
//   "kind": "line" | "bars" | "stack" | "ranges",
//   "unit": "count" | "share" | "seconds" | "ms" | "points",   how values are written; shares are 0..1
//   "x": "name of the horizontal axis", "y": "name of the vertical one",
//   "labels": ["1 Nov", ...],
//   "series": [{"name": "...", "values": [0.5, null, ...], "low": [...], "high": [...], "tone": "good" | "bad" | "other"}],
//   "reference": {"name": "...", "value": 0.9}                 a level line
// }
// "low" and "high" (both or none) draw intervals: a band around a line, a whisker for "ranges", which has one point for
// each label and lies on its side. "tone" and "reference" are optional; null is a gap. Without scripts the table is all
// there is: a plot has no height before it is drawn. `drawCharts(root)` draws what is in `root` and not drawn yet.
import "./chart.js";

const Chart = window.Chart;
const PALETTE = ["--chart-1", "--chart-2", "--chart-3", "--chart-4"];
const TONES = { good: "--chart-good", bad: "--chart-bad", other: "--chart-3" };
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]]; // told apart without color, too
const POINTS = ["circle", "rectRot", "triangle", "rect"];
const MOST_POINTS = 35; // a longer line has no marks
const drawn = new Map(); // figure -> its chart

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function faded(color, alpha) {
  const hex = color.replace("#", "");
  const [red, green, blue] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

export function written(value, unit) {
  if (value === null || value === undefined) return "no data";
  if (unit === "share") return `${(100 * value).toFixed(1)} %`;
  if (unit === "points") return `${value > 0 ? "+" : ""}${(100 * value).toFixed(1)} points`;
  if (unit === "ms") return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
  if (unit !== "seconds") return value.toLocaleString("en");
  if (value < 60) return `${Math.round(value)} s`;
  if (value < 3600) return `${(value / 60).toFixed(1)} min`;
  return value < 172800 ? `${(value / 3600).toFixed(1)} h` : `${(value / 86400).toFixed(1)} days`;
}

const shortly = (value, unit) => (unit === "share" ? `${Math.round(100 * value)} %` : written(value, unit));

function lineSets(data) {
  const sets = [];
  data.series.forEach((series, at) => {
    const color = token(TONES[series.tone] || PALETTE[at % PALETTE.length]);
    const plain = { borderWidth: 0, pointRadius: 0, pointHitRadius: 0, isBand: true };
    if (series.low) {
      sets.push({ ...plain, data: series.low, label: "low" });
      sets.push({ ...plain, data: series.high, label: "high", fill: "-1", backgroundColor: faded(color, 0.18) });
    }
    sets.push({
      label: series.name,
      data: series.values,
      borderColor: color,
      backgroundColor: color,
      borderDash: DASHES[at % DASHES.length],
      borderWidth: 2,
      pointStyle: POINTS[at % POINTS.length],
      pointRadius: data.labels.length > MOST_POINTS ? 0 : 3,
      pointHitRadius: 12,
      spanGaps: false,
      bounds: series.low ? [series.low, series.high] : null,
    });
  });
  if (data.reference) {
    const color = token("--quiet");
    const flat = (value) => data.labels.map(() => value);
    sets.push({
      label: data.reference.name,
      data: flat(data.reference.value),
      borderColor: color,
      backgroundColor: color,
      borderDash: [3, 3],
      borderWidth: 2,
      pointRadius: 0,
      pointStyle: "line",
    });
  }
  return sets;
}

function barSets(data) {
  return data.series.map((series, at) => {
    const color = token(TONES[series.tone] || PALETTE[at % PALETTE.length]);
    return {
      label: series.name,
      data: series.values,
      backgroundColor: faded(color, 0.85),
      borderColor: token("--surface"),
      borderWidth: 1,
      stack: data.kind === "stack" ? "one" : undefined,
    };
  });
}

function rangeSets(data) {
  return data.series.flatMap((series, at) => {
    const color = token(TONES[series.tone] || PALETTE[at % PALETTE.length]);
    const ends = series.values.map((_, place) =>
      series.low[place] === null ? null : [series.low[place], series.high[place]]);
    const points = series.values.map((value, place) => ({ x: value, y: data.labels[place] }));
    return [
      { type: "scatter", label: series.name, data: points, backgroundColor: color, borderColor: color, pointRadius: 5,
        pointHitRadius: 14, pointStyle: POINTS[at % POINTS.length], bounds: [series.low, series.high] },
      { type: "bar", label: "interval", data: ends, backgroundColor: faded(color, 0.35), barThickness: 8, isBand: true },
    ];
  });
}

function options(data) {
  const [text, line] = [token("--text"), token("--line")];
  const isRange = data.kind === "ranges";
  const isStack = data.kind === "stack";
  const value = {
    title: { display: Boolean(data.y), text: data.y, color: text },
    ticks: { color: text, callback: (tick) => shortly(tick, data.unit), maxTicksLimit: 6 },
    grid: { color: line },
    border: { color: line },
    beginAtZero: !isRange,
    max: data.unit === "share" && !isRange ? 1 : undefined,
    stacked: isStack,
  };
  const names = {
    title: { display: Boolean(data.x), text: data.x, color: text },
    ticks: { color: text, maxRotation: 0, autoSkip: !isRange, autoSkipPadding: 16 },
    grid: { display: false },
    border: { color: line },
    stacked: isStack,
    type: "category",
    labels: data.labels,
    offset: isRange || data.kind !== "line",
  };
  return {
    animation: false, // nothing here gets clearer by moving
    responsive: true,
    maintainAspectRatio: false,
    indexAxis: isRange ? "y" : "x",
    interaction: isRange ? { mode: "nearest", intersect: false } : { mode: "index", intersect: false },
    scales: isRange ? { x: value, y: names } : { x: names, y: value },
    plugins: {
      legend: {
        display: data.series.length + Number(Boolean(data.reference)) > 1,
        position: "bottom",
        labels: { color: text, usePointStyle: true, boxHeight: 7,
          filter: (item, chart) => !chart.datasets[item.datasetIndex].isBand },
      },
      tooltip: {
        backgroundColor: token("--text"),
        titleColor: token("--surface"),
        bodyColor: token("--surface"),
        filter: (item) => !item.dataset.isBand,
        callbacks: { label: (item) => told(item, data, isRange) },
      },
    },
  };
}

function told(item, data, isRange) {
  const value = isRange ? item.parsed.x : item.parsed.y;
  const place = isRange ? data.labels.indexOf(item.raw.y) : item.dataIndex;
  const bounds = item.dataset.bounds;
  const between = bounds && bounds[0][place] !== null
    ? ` (${written(bounds[0][place], data.unit)} to ${written(bounds[1][place], data.unit)})` : "";
  return `${item.dataset.label}: ${written(value, data.unit)}${between}`;
}

function draw(figure) {
  const source = figure.querySelector('script[type="application/json"]');
  const plot = figure.querySelector(".plot");
  if (!source || !plot) return;
  const data = JSON.parse(source.textContent);
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", figure.querySelector("figcaption")?.textContent.trim() || "chart");
  plot.replaceChildren(canvas);
  plot.classList.add("drawn");
  const sets = { line: lineSets, bars: barSets, stack: barSets, ranges: rangeSets }[data.kind](data);
  drawn.set(figure, new Chart(canvas, {
    type: data.kind === "line" ? "line" : "bar",
    data: { labels: data.labels, datasets: sets },
    options: options(data),
  }));
}

export function drawCharts(root = document) {
  for (const [figure, chart] of drawn) {
    // What has been swapped for a newer state of the page needs its memory no more.
    if (!figure.isConnected || !chart.canvas?.isConnected) {
      chart.destroy();
      drawn.delete(figure);
    }
  }
  for (const figure of root.querySelectorAll("figure.chart")) if (!drawn.has(figure)) draw(figure);
}

function drawAgain() {
  for (const chart of drawn.values()) chart.destroy();
  drawn.clear();
  drawCharts();
}

window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAgain);
// Paper is as wide as it is, and white.
window.addEventListener("beforeprint", () => drawn.forEach((chart) => chart.resize()));
document.addEventListener("live:after", () => drawCharts());
drawCharts();
