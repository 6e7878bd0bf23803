/** What the demo shows: a head, one line that keeps moving, what happened, and a summary. */
import type { Terminal } from "../machine.ts";
import type { PaintStyle } from "./parts.ts";
import type { Shoppers } from "./shoppers.ts";
import { adminUrlOf, type Stage } from "./stage.ts";
import { Tally } from "./tally.ts";
import { type Finding, grouped } from "./verdict.ts";

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

  head(stage: Stage): void {
    const paint = this.#paint;
    const { gatewayUrl, gatewayAdminUrl, coordinatorUrl, documentPath, gateway, coordinator } = stage;
    this.line(paint("bold", "An online store as a mesh: every service has a sidecar, every call is mTLS"));
    this.line("");
    this.line(paint("dim", memberRow(["", "where", "admin", "process"])));
    this.line(memberRow(["gateway", gatewayUrl, gatewayAdminUrl, `${gateway.pid}`]));
    for (const { name, ports } of stage.members) {
      const process = stage.sidecars.get(name)?.pid ?? "";
      this.line(
        memberRow([name, `127.0.0.1:${ports.inbound} (mTLS)`, adminUrlOf(ports.admin), `${process}`]),
      );
    }
    this.line(memberRow(["coordinator", coordinatorUrl, "", `${coordinator.pid}`]));
    this.line("");
    this.#hints(gatewayUrl, documentPath, stage);
  }

  #hints(gatewayUrl: string, documentPath: string, { members, sidecars }: Stage): void {
    const accounts = members.find(({ name }) => name === "accounts-1");
    const killed = sidecars.get("payments-2")?.pid ?? 0;
    this.line(this.#paint("dim", "  Try, in another terminal:"));
    this.line(`  curl -i ${gatewayUrl}/api/products/lamp-brass`);
    this.line(
      `  curl -i -d '{}' http://127.0.0.1:${accounts?.upstreams.get("payments")}/charge   # as accounts: denied`,
    );
    this.line(`  kill -9 -${killed}   # payments-2 dies: nobody notices`);
    this.line(`  edit ${documentPath}   # shift the split, deny a caller: live when saved`);
    this.line("");
  }

  /** Where a person watches it replaces the one before; in a file each stands. */
  progress(elapsedMs: number, shoppers: Shoppers): void {
    const { recent, versions } = shoppers;
    const parts = [
      `${(elapsedMs / 1000).toFixed(0).padStart(4)} s`,
      `${grouped(both(shoppers.sent)).padStart(7)} requests`,
      this.#failed(both(shoppers.failed)),
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
  }

  failure(text: string): void {
    this.line(this.#paint("red", `  ${text}`));
  }

  findings(findings: readonly Finding[]): void {
    const widest = Math.max(...findings.map(({ what }) => what.length));
    const styles = { ok: "green", failed: "red", "not tried": "dim" } as const;
    for (const { what, outcome, text } of findings) {
      this.line(`  ${what.padEnd(widest)}  ${this.#paint(styles[outcome], outcome.padEnd(9))}  ${text}`);
    }
    this.line("");
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

export function both({ repeatable, once }: Shoppers["sent"]): number {
  return repeatable + once;
}

function memberRow([name = "", where = "", admin = "", process = ""]: readonly string[]): string {
  return `  ${name.padEnd(14)}${where.padEnd(26)}${admin.padEnd(25)}${process}`;
}
