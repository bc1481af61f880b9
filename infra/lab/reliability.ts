// What cuts on a score write and how much of that is true: the table from which a connection's defaults are chosen. Pure.

export interface Judged {
  /** `clean`, or what was done to it. */
  readonly kind: string;
  readonly right: boolean;
  readonly itm: number;
  readonly logProb: number;
}

/** By at least so much of a score a text is written. */
interface Cuts {
  readonly itm: number;
  readonly logProb: number;
}

interface Share {
  readonly part: number;
  /** Standard error. */
  readonly error: number;
  readonly of: number;
}

const isWritten = ({ itm, logProb }: Judged, cuts: Cuts): boolean =>
  itm >= cuts.itm && logProb >= cuts.logProb;

function shareOf(list: readonly unknown[], of: number): Share {
  const part = of === 0 ? NaN : list.length / of;
  return { part, error: Math.sqrt((part * (1 - part)) / of), of };
}

interface Reliability {
  readonly written: Share;
  readonly trueOfWritten: Share;
}

function reliability(judged: readonly Judged[], cuts: Cuts): Reliability {
  const written = judged.filter((one) => isWritten(one, cuts));
  const right = written.filter((one) => one.right);
  return {
    written: shareOf(written, judged.length),
    trueOfWritten: shareOf(right, written.length),
  };
}

const said = ({ part, error, of }: Share): string =>
  of === 0 || Number.isNaN(part) ? "-" : `${part.toFixed(3)} ± ${error.toFixed(3)}`;

/** Rows of Markdown: what each cut does to clean pictures, to hard ones and to all. */
export function cutTable(
  name: string,
  cuts: readonly (readonly [label: string, cuts: Cuts])[],
  judged: readonly Judged[],
): string[] {
  const clean = judged.filter(({ kind }) => kind === "clean");
  const hard = judged.filter(({ kind }) => kind !== "clean");
  const cells = ({ written, trueOfWritten }: Reliability) =>
    `${written.part.toFixed(3)} | ${said(trueOfWritten)}`;
  return [
    `| ${name} | clean: written | true | hard: written | true | all: written | true |`,
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...cuts.map(
      ([label, each]) =>
        `| ${label} | ${cells(reliability(clean, each))} | ${cells(reliability(hard, each))} | ${cells(reliability(judged, each))} |`,
    ),
  ];
}

/** Each kind by itself: how often captions are true there, and how much of the false ones a cut holds back. */
export function kindTable(judged: readonly Judged[], cuts: Cuts): string[] {
  const kinds = [...new Set(judged.map(({ kind }) => kind))];
  return [
    "| pictures | | true | written | true of those written |",
    "| --- | ---: | ---: | ---: | ---: |",
    ...kinds.map((kind) => {
      const list = judged.filter((one) => one.kind === kind);
      const { written, trueOfWritten } = reliability(list, cuts);
      const right = shareOf(
        list.filter((one) => one.right),
        list.length,
      );
      return `| ${kind} | ${list.length} | ${said(right)} | ${written.part.toFixed(3)} | ${said(trueOfWritten)} |`;
    }),
  ];
}
