// What a measurement was made on, and whether something else ran beside it.
import os from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  /** Of the last minute, before anything was measured. */
  readonly loadAverage: number;
  /** Figures of a busy machine say little; ratios of one run say a little more. */
  readonly busy: boolean;
}

/** A quiet machine has less to do than this. */
const quietLoad = 0.5;

export function describeMachine(): Machine {
  const cpus = os.cpus();
  const [loadAverage = 0] = os.loadavg();
  return {
    cpu: cpus[0]?.model.trim() ?? "unknown",
    cores: cpus.length,
    memoryBytes: os.totalmem(),
    platform: `${os.platform()} ${os.arch()}`,
    loadAverage,
    busy: loadAverage > quietLoad,
  };
}
