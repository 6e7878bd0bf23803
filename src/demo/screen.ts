/** What the demo shows: a head, one line that keeps moving, what happened, and a summary. */
import type { Terminal } from "../machine.ts";
import type { PaintStyle } from "./parts.ts";
import type { Shoppers } from "./shoppers.ts";
import { Tally } from "./tally.ts";

export interface Addresses {
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  readonly configPath: string;
}

type Paint = (style: PaintStyle, text: string) => string;

/** Up one line, and clear it. */
const overLastLine = "\u001b[1A\u001b[2K";

export class Screen {
  readonly #terminal: Terminal;
  readonly #paint: Paint;
  #moving = false;

  constructor(terminal: Terminal, paint: Paint) {
    this.#terminal = terminal;
    this.#paint = paint;
  }

  head({ gatewayUrl, adminUrl, configPath }: Addresses): void {
    const paint = this.#paint;
    const widest = Math.max(gatewayUrl.length, adminUrl.length, configPath.length);
    const row = (name: string, value: string, note: string) =>
      this.line(`  ${name.padEnd(8)} ${paint("cyan", value.padEnd(widest))}  ${paint("dim", note)}`);
    this.line(paint("bold", "An online store behind one Clearway gateway"));
    this.line("");
    row("gateway", gatewayUrl, "carries all that follows");
    row("admin", adminUrl, "/metrics /snapshot /problems");
    row("config", configPath, "edit and save it: live at once");
    this.line("");
    this.line(paint("dim", "  Try, in another terminal:"));
    this.line(`  curl -i ${gatewayUrl}/api/products/lamp-brass`);
    this.line(`  curl -i ${gatewayUrl}/shop/old`);
    this.line(`  curl -s ${adminUrl}/metrics | grep clearway_requests_total`);
    this.line("");
  }

  /** Where a person watches it replaces the one before; in a file each stands. */
  progress(elapsedMs: number, shoppers: Shoppers): void {
    const { recent, versions } = shoppers;
    const parts = [
      `${(elapsedMs / 1000).toFixed(0).padStart(4)} s`,
      `${grouped(shoppers.sent).padStart(7)} requests`,
      this.#failed(shoppers.failed),
      `p50 ${milliseconds(recent.quantileMs(0.5))}`,
      `p99 ${milliseconds(recent.quantileMs(0.99))}`,
      splitText(versions),
    ];
    const text = parts.join("   ");
    const replaces = this.#moving && this.#terminal.interactive.out;
    this.#terminal.out(replaces ? `${overLastLine}${text}` : text);
    this.#moving = true;
  }

  event(style: PaintStyle, text: string): void {
    this.line(`       ${this.#paint(style, text)}`);
  }

  line(text: string): void {
    this.#terminal.out(text);
    this.#moving = false;
  }

  summary(shoppers: Shoppers): void {
    const paint = this.#paint;
    const all = new Tally();
    this.line("");
    this.line(paint("dim", row("request", ["sent", "failed", "p50", "p99"])));
    for (const [name, tally] of shoppers.byErrand) {
      all.add(tally);
      this.line(row(name, cellsOf(tally)));
    }
    this.line(paint("bold", row("all", cellsOf(all))));
    this.line("");
    for (const failure of shoppers.failures) this.line(paint("red", `  ${failure}`));
  }

  #failed(count: number): string {
    return this.#paint(count === 0 ? "green" : "red", `${grouped(count)} failed`);
  }
}

function cellsOf(tally: Tally): string[] {
  const p50 = milliseconds(tally.quantileMs(0.5));
  return [grouped(tally.sent), grouped(tally.failed), p50, milliseconds(tally.quantileMs(0.99))];
}

function row(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(26)}${cells.map((cell) => cell.padStart(11)).join("")}`;
}

function splitText(versions: ReadonlyMap<string, number>): string {
  const total = [...versions.values()].reduce((sum, count) => sum + count, 0);
  const shares = [...versions]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([version, count]) => `${version} ${Math.round((count / total) * 100)}%`);
  return `products ${shares.join(" ")}`;
}

function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`;
}

export function grouped(count: number): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}
