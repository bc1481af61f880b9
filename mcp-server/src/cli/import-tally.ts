// What a person reads of an import while it runs and when it ends, on standard error.
import type { ImageRecord } from "@blip2-edge/shared/contracts/images";
import type { AppError } from "@blip2-edge/shared/problem";
import type { CliIo } from "./io.ts";

export interface Tally {
  begin(thereAlready: number, others: number): void;
  indexed(record: ImageRecord): void;
  /** Told by its name. */
  failed(file: string, why: AppError): void;
  end(): void;
  /** Every picture is a record. */
  isComplete(): boolean;
}

const progressEveryMs = 5000;
const said = (count: number): string => count.toLocaleString("en-US");
const counted = (count: number, one: string, many: string): string =>
  `${said(count)} ${count === 1 ? one : many}`;

export function createTally(total: number, { stderr, now = Date.now }: CliIo): Tally {
  const begunAt = now();
  let toldAt = begunAt;
  let [indexed, failed, twins] = [0, 0, 0];
  let isStopped = false;

  function progress(): void {
    const at = now();
    if (at - toldAt < progressEveryMs) return;
    toldAt = at;
    const done = indexed + failed;
    const perSecond = (1000 * done) / (at - begunAt);
    const leftS = Math.round((total - done) / perSecond);
    const left = leftS < 90 ? `${leftS} s` : `${Math.round(leftS / 60)} min`;
    const bad = failed === 0 ? "" : `, ${said(failed)} failed`;
    stderr(`${said(done)} of ${said(total)}${bad}, ${perSecond.toFixed(1)} a second, ${left} left`);
  }

  return {
    begin(thereAlready, others) {
      const there = `${said(thereAlready)} of them there already`;
      const rest =
        others === 0 ? "" : `; ${counted(others, "other file is", "other files are")} passed over`;
      stderr(`${counted(total + thereAlready, "picture", "pictures")}, ${there}${rest}`);
    },
    indexed({ duplicate_of: twin }) {
      indexed += 1;
      if (twin !== undefined) twins += 1;
      progress();
    },
    failed(file, why) {
      if (isStopped) return;
      failed += 1;
      stderr(`${file}: ${why.detail || why.kind.title}`);
      progress();
    },
    end() {
      isStopped = true;
      const left = total - indexed - failed;
      const same = twins === 0 ? "" : ` (${said(twins)} the same picture as another record)`;
      const more = left === 0 ? "" : `, ${said(left)} not done: begin again, and it goes on`;
      stderr(`${said(indexed)} indexed${same}, ${said(failed)} failed${more}`);
    },
    isComplete: () => indexed === total,
  };
}
