// Counters, gauges and histograms as Prometheus text, the only file that knows prom-client. One registry per
// door: nothing is global.
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export type Labelled<L extends string> = readonly [
  labels: Readonly<Record<L, string>>,
  value: number,
];

export function createRegistry() {
  const registry = new Registry();
  const registers = [registry];
  return {
    contentType: registry.contentType as string,
    render: (): Promise<string> => registry.metrics(),

    counter: <L extends string = never>(
      name: string,
      help: string,
      labelNames: readonly L[] = [],
    ) => new Counter({ name, help, labelNames, registers }),

    histogram: <L extends string = never>(
      name: string,
      help: string,
      buckets: readonly number[],
      labelNames: readonly L[] = [],
    ) => new Histogram({ name, help, labelNames, buckets: [...buckets], registers }),

    /** A gauge that is read when it is asked for. */
    gauge(name: string, help: string, read: () => number): void {
      const collect = (): void => gauge.set(read());
      const gauge = new Gauge({ name, help, registers, collect });
    },

    /** The same with labels: whatever series `read` gives then. */
    gauges<L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[],
      read: () => readonly Labelled<L>[],
    ): void {
      const collect = (): void => {
        gauge.reset();
        for (const [labels, value] of read()) gauge.set(labels, value);
      };
      const gauge = new Gauge<L>({ name, help, labelNames, registers, collect });
    },

    /** A counter that is kept elsewhere. */
    countedElsewhere(name: string, help: string, read: () => number): void {
      const collect = (): void => {
        counter.reset();
        counter.inc(read());
      };
      const counter = new Counter({ name, help, registers, collect });
    },
  };
}
