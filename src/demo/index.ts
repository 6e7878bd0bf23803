/** The online store on this machine, as a mesh: services with their sidecars, coordinator, gateway, visible traffic. */
import type { DemoOptions, DemoParts, DemoProcess } from "./parts.ts";
import { pauses } from "./pause.ts";
import { Play } from "./play.ts";
import { Screen } from "./screen.ts";
import { openStage, type Stage, StartFailure } from "./stage.ts";
import type { Store } from "./store.ts";

export type { DemoOptions, DemoParts, DemoProcess, Operator, PaintStyle } from "./parts.ts";

/** Returns the exit code: 0 when all that was checked was so, and every request got the answer that it should. */
export async function runDemo(parts: DemoParts, options: DemoOptions): Promise<number> {
  const screen = new Screen(parts.terminal, parts.paint);
  const pause = pauses(parts.clock, parts.random);
  const begun: { store: Store | null; readonly processes: DemoProcess[] } = { store: null, processes: [] };
  const stopped = new Promise<void>((resolve) => parts.onStop(resolve));
  try {
    screen.line(
      parts.paint("dim", "starting a coordinator, a gateway and seven services with their sidecars …"),
    );
    const stage = await Promise.race([openStage(parts, pause, begun), stopped.then(() => null)]);
    if (stage === null) return 0;
    const play = new Play({ parts, stage, screen, pause }, options);
    await play.run(stopped);
    await endAll(stage);
    return play.conclude();
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    screen.line(error.message);
    return 1;
  } finally {
    for (const process of begun.processes) process.stop();
    await Promise.all(begun.processes.map(({ ended }) => ended));
    await Promise.all([...(begun.store?.values() ?? [])].map((instance) => instance.close()));
  }
}

/** Callers before those whom they call. */
async function endAll({ gateway, sidecars, coordinator }: Stage): Promise<void> {
  gateway.stop();
  await gateway.ended;
  for (const sidecar of sidecars.values()) sidecar.stop();
  await Promise.all([...sidecars.values()].map(({ ended }) => ended));
  coordinator.stop();
  await coordinator.ended;
}
