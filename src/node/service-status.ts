/** What a node tells the service manager that started it: sd_notify(3). */
import type { Clock, ServiceManager } from "../machine.ts";

export interface ServiceStatusParts {
  readonly clock: Clock;
  readonly manager: ServiceManager;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export class ServiceStatus {
  readonly #manager: ServiceManager;
  readonly #stopWatchdog: () => void;

  /** Says at half of WATCHDOG_USEC, where the manager asks for it, that the supervisor's loop turns. */
  constructor({ clock, manager, environment }: ServiceStatusParts) {
    this.#manager = manager;
    const periodMs = Number(environment.WATCHDOG_USEC ?? Number.NaN) / 1000 / 2;
    this.#stopWatchdog =
      periodMs >= 1 ? clock.every(periodMs, () => manager.notify(["WATCHDOG=1"])) : () => {};
  }

  /** All workers serve this version. */
  serves(version: number): void {
    this.#manager.notify(["READY=1", `STATUS=Serves version ${version}`]);
  }

  refused(problems: number, version: number): void {
    this.#manager.notify([`STATUS=Serves version ${version}; the file has ${problems} problems`]);
  }

  stopping(): void {
    this.#manager.notify(["STOPPING=1", "STATUS=Draining"]);
  }

  ended(): void {
    this.#stopWatchdog();
  }
}
