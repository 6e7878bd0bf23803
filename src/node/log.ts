import { pino } from "pino";
import type { Snapshot } from "../snapshot.ts";
import type { Log, LogFields, LogLevel } from "../types.ts";

export interface NodeLog extends Log {
  /** Level and format from the next line on. */
  configure(settings: Snapshot["log"]): void;
}

/** The running log: one line each, JSON or text, to `write`. */
export function createLog(write: (line: string) => void, fields: LogFields): NodeLog {
  let format: Snapshot["log"]["format"] = "json";
  const logger = pino(
    {
      base: fields,
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: "message",
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(format === "json" ? line.trimEnd() : textLine(line)) },
  );
  const say = (level: LogLevel) => (message: string, more?: LogFields) => logger[level](more ?? {}, message);
  return {
    debug: say("debug"),
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
    configure(settings) {
      logger.level = settings.level;
      format = settings.format;
    },
  };
}

/** `12:03:04.123 warn  the worker ended  pid=4711 signal=SIGKILL`; what could break the line is quoted. */
function textLine(line: string): string {
  const { level, time, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${plain(String(value))}`);
  return `${clock} ${String(level).padEnd(5)} ${escapeControls(String(message))} ${pairs.join("")}`.trimEnd();
}

function plain(value: string): string {
  return /^[\w.:/@*+-]+$/.test(value) ? value : JSON.stringify(value);
}

function escapeControls(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => JSON.stringify(character).slice(1, -1));
}

/** With its stack: for errors that are nobody's input. */
export function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
