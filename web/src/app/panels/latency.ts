// The latency panel: a plot of the past minute, and its figures as a table that a screen reader can read.

import { texts } from "../texts/texts.ts";
import { el, perFrame, setText } from "../ui/dom.ts";

/** The three latencies that are measured. */
export type Series = "accepted" | "stored" | "received";

const SERIES: readonly Series[] = ["accepted", "stored", "received"];

/** Time span of the plot, in ms. */
const SPAN_MS = 60_000;

/** Samples kept of each series at most; the oldest are dropped first. */
const MAX_SAMPLES = 2_000;

/** Ends of the axis, in ms. It is logarithmic, so that a near relay and a stalled storage both fit. */
const LOWEST_MS = 1;
const HIGHEST_MS = 10_000;

interface Sample {
  readonly at: number;
  readonly ms: number;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
}

/** The panel. */
export class LatencyPanel {
  readonly element: HTMLElement;
  readonly #canvas = el("canvas", {
    class: "plot",
    role: "img",
    "aria-label": texts.latency.canvas,
    testid: "latency",
  });
  readonly #samples: Record<Series, Sample[]> = { accepted: [], stored: [], received: [] };
  readonly #cells = new Map<string, HTMLElement>();
  readonly #draw = perFrame(() => this.#render());

  constructor() {
    const rows = SERIES.map((series) => {
      const p50 = el("td", { testid: `latency-${series}-p50` });
      const p95 = el("td", { testid: `latency-${series}-p95` });
      this.#cells.set(`${series} 0.5`, p50).set(`${series} 0.95`, p95);
      const help = series === "received" ? texts.latency.receivedHelp : undefined;
      const name = el("th", { scope: "row", title: help }, el("i", { class: `key ${series}` }), texts.latency[series]);
      return el("tr", {}, name, p50, p95);
    });
    const head = el(
      "tr",
      {},
      el("td"),
      el("th", { scope: "col" }, texts.latency.p50),
      el("th", { scope: "col" }, texts.latency.p95),
    );
    this.element = el(
      "section",
      { class: "panel latency", "data-view": "latency", "aria-labelledby": "latency-title" },
      el("h2", { id: "latency-title" }, texts.latency.title),
      this.#canvas,
      el("table", { class: "figures" }, el("thead", {}, head), el("tbody", {}, ...rows)),
    );
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    setInterval(() => {
      if (document.visibilityState === "visible") this.#draw();
    }, 1_000);
    this.#draw();
  }

  /** Adds a measurement, in ms. */
  add(series: Series, ms: number): void {
    const samples = this.#samples[series];
    samples.push({ at: performance.now(), ms });
    if (samples.length > MAX_SAMPLES) samples.splice(0, samples.length - MAX_SAMPLES);
    this.#draw();
  }

  /** Draws again with changed colours. */
  redraw(): void {
    this.#draw();
  }

  #render(): void {
    const now = performance.now();
    for (const series of SERIES) {
      const samples = this.#samples[series];
      while (samples[0] !== undefined && samples[0].at < now - SPAN_MS) samples.shift();
      const sorted = samples.map(({ ms }) => ms).sort((a, b) => a - b);
      for (const share of [0.5, 0.95]) {
        const cell = this.#cells.get(`${series} ${share}`) as HTMLElement;
        setText(cell, sorted.length === 0 ? "–" : texts.latency.ms(Math.max(0, quantile(sorted, share))));
      }
    }
    this.#plot(now);
  }

  #plot(now: number): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    if (context === null || width === 0) return;
    const scale = devicePixelRatio;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    context.scale(scale, scale);
    const style = getComputedStyle(this.#canvas);
    const left = 50;
    const y = (ms: number): number => {
      const share =
        Math.log(Math.min(Math.max(ms, LOWEST_MS), HIGHEST_MS) / LOWEST_MS) / Math.log(HIGHEST_MS / LOWEST_MS);
      return height - 8 - share * (height - 16);
    };
    this.#grid(context, style, left, width, y);
    const x = (at: number): number => left + (1 - (now - at) / SPAN_MS) * (width - left - 4);
    let empty = true;
    for (const series of SERIES) {
      context.fillStyle = context.strokeStyle = resolve(this.#canvas, `--${series}`);
      for (const { at, ms } of this.#samples[series]) {
        mark(context, series, x(at), y(ms));
        empty = false;
      }
    }
    if (!empty) return;
    context.fillStyle = style.color;
    context.textAlign = "center";
    context.fillText(texts.latency.hint, left + (width - left) / 2, y(30));
  }

  #grid(
    context: CanvasRenderingContext2D,
    style: CSSStyleDeclaration,
    left: number,
    width: number,
    y: (ms: number) => number,
  ): void {
    context.font = `11px ${style.fontFamily}`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    texts.latency.axis.forEach((label, i) => {
      const at = Math.round(y(LOWEST_MS * 10 ** i)) + 0.5;
      context.strokeStyle = resolve(this.#canvas, "--rule");
      context.beginPath();
      context.moveTo(left, at);
      context.lineTo(width, at);
      context.stroke();
      context.fillStyle = style.color;
      context.fillText(label, left - 6, at);
    });
  }
}

/** The colour of a custom property for the canvas: a probe element resolves `light-dark()`. */
function resolve(element: HTMLElement, property: string): string {
  element.style.setProperty("outline-color", `var(${property})`);
  return getComputedStyle(element).outlineColor;
}

/** A dot, a square or a triangle, so that the series differ without colour too. */
function mark(context: CanvasRenderingContext2D, series: Series, x: number, y: number): void {
  context.beginPath();
  if (series === "accepted") {
    context.arc(x, y, 2.2, 0, 7);
    context.fill();
  } else if (series === "stored") {
    context.strokeRect(x - 2, y - 2, 4, 4);
  } else {
    context.moveTo(x, y - 2.6);
    context.lineTo(x + 2.6, y + 2);
    context.lineTo(x - 2.6, y + 2);
    context.fill();
  }
}
