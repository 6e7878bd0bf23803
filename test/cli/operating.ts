/** The verbs of operators, with a coordinator that only has the documents and the answers of the test. */
import type { LoadedDocument } from "../../src/cli/apply.ts";
import { runCommandLine, type Verbs } from "../../src/cli/command-line.ts";
import type { OperatorCalls } from "../../src/cli/operator.ts";
import { difference } from "../../src/config/mesh/difference.ts";
import { Documents } from "../../src/coordinator/documents/documents.ts";
import type { VersionLimits } from "../../src/coordinator/store/kept-version.ts";
import { MemoryStore } from "../../src/coordinator/store/memory.ts";
import type { ApplyRequest, RollbackRequest } from "../../src/mesh.ts";
import { loadDocument } from "../config/mesh/loading.ts";
import { VirtualClock } from "../virtual-clock.ts";

export class Operating {
  readonly clock = new VirtualClock();
  readonly documents: Documents;
  /** Beside the documents, by path. */
  readonly answers = new Map<string, unknown>([["/v1/nodes", { nodes: [] }]]);
  /** What `-f` reads. */
  text = "";
  /** Runs before the coordinator hears of an apply. */
  meanwhile: () => Promise<unknown> = async () => {};
  readonly asked: string[] = [];

  constructor(kept?: VersionLimits) {
    this.documents = new Documents({
      store: new MemoryStore(kept),
      clock: this.clock,
      trustDomain: "store.example",
      checkFiles: () => Promise.reject(new Error("was not checked")),
    });
  }

  /** A document whose services these are, as YAML that is indented by two. */
  write(services: string): void {
    this.text = `trustDomain: store.example\nservices:\n${services}`;
  }

  async obey(line: string) {
    const said = { out: "", error: "" };
    const terminal = {
      out: (text: string) => {
        said.out += `${text}\n`;
      },
      error: (text: string) => {
        said.error += `${text}\n`;
      },
      interactive: { out: false, error: false },
    };
    const operator = async (coordinator: string) => {
      this.asked.push(coordinator);
      return this.#calls();
    };
    const common = {
      terminal,
      operator,
      clock: this.clock,
      paint: async () => (_: string, text: string) => text,
    };
    const documents = {
      ...common,
      load: () => this.#load(),
      difference: async (...pair: Parameters<typeof difference>) => difference(...pair),
    };
    const durations = () => import("../../src/units.ts");
    const get = { terminal, operator, clock: this.clock, durations };
    const verbs = { plugin: {}, run: {}, check: {}, token: {}, documents, get } as unknown as Verbs;
    const code = await runCommandLine({ args: line.split(" "), version: "1.2.3", terminal }, verbs);
    return { code, ...said };
  }

  async #load(): Promise<LoadedDocument> {
    const { document, problems } = await loadDocument({ "mesh.yaml": this.text });
    return { document, problems, problemsText: () => problems.map(({ message }) => message).join("\n") };
  }

  #calls(): OperatorCalls {
    const { documents, answers } = this;
    const get = async (path: string) => {
      if (path === "/v1/versions") return { versions: await documents.list() };
      const version = /^\/v1\/document(?:\?version=(\d+))?$/.exec(path);
      if (version !== null) return documents.read(version[1] === undefined ? null : Number(version[1]));
      if (!answers.has(path)) throw new Error(`${path} is not known here`);
      return answers.get(path);
    };
    const put = async (path: string, body: object) => {
      const how = path.endsWith("?dry-run=yes") ? "try" : "apply";
      if (how === "apply") await this.meanwhile();
      // Over the wire it is text.
      return documents.apply(JSON.parse(JSON.stringify(body)) as ApplyRequest, "ada", how);
    };
    const post = (_: string, body: object) => documents.rollback(body as RollbackRequest, "ada");
    return { get, put, post } as OperatorCalls;
  }
}
