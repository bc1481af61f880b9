// One JSON object a line. What is logged is named by the caller, field by field: no headers, no bodies,
// no texts and no keys pass through here.

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** `write` takes one line without its line feed. */
export function createLog(write: (line: string) => void, now: () => Date = () => new Date()): Log {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}): void =>
      write(JSON.stringify({ time: now().toISOString(), level, event, ...fields }));
  return { info: at("info"), warn: at("warn"), error: at("error") };
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };
