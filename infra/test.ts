// `npm test`: the smoke test of the whole stack first, then everything else; stops after the smoke test when it fails, since
// nothing else would mean much. `npm run verify` (`--verify`) adds what takes long, and runs up to three files that failed
// once more: what passes then is told as such. The last line is `N passed, N failed`. Other arguments go to vitest and choose
// the files: `npm test -- resample`.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { z } from "zod";

const root = path.dirname(import.meta.dirname);
const reportSchema = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
  numTodoTests: z.int(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});
interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Where to look, for whoever reads the end of the output alone. */
  readonly failures: readonly Failure[];
}
interface Failure {
  /** Left out: an error that belongs to none. */
  readonly file?: string;
  readonly what: string;
}

/** Runs vitest and counts; a run that dies without a report is one failure. */
async function vitest(args: readonly string[]): Promise<Counts> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "blip2-test-"));
  const reportFile = path.join(folder, "report.json");
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      const child = spawn(
        path.join(root, "node_modules/.bin/vitest"),
        [
          "run",
          "--reporter=default",
          "--reporter=json",
          `--outputFile.json=${reportFile}`,
          ...args,
        ],
        { cwd: root, stdio: "inherit" },
      );
      child.on("error", reject);
      child.on("exit", (exitCode) => resolve(exitCode));
    });
    const report = reportSchema.safeParse(
      JSON.parse(await readFile(reportFile, "utf8").catch(() => "null")),
    );
    if (!report.success) {
      return {
        passed: 0,
        failed: 1,
        skipped: 0,
        failures: [{ what: `${args.join(" ")}: no report` }],
      };
    }
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = report.data;
    // A file that does not load, or an error outside any test, fails the run without failing a test.
    const failed = code === 0 ? numFailedTests : Math.max(numFailedTests, 1);
    const failures = report.data.testResults.flatMap(({ name, status, assertionResults }) => {
      const file = path.relative(root, name);
      const tests = assertionResults.filter((test) => test.status === "failed");
      if (tests.length > 0) return tests.map(({ fullName }) => ({ file, what: fullName }));
      return status === "failed"
        ? [{ file, what: "did not load, or failed outside any test" }]
        : [];
    });
    const unnamed = failed > 0 && failures.length === 0;
    return {
      passed: numPassedTests,
      failed,
      skipped: numPendingTests + numTodoTests,
      failures: unnamed ? [{ what: `${args.join(" ")}: an error outside any test` }] : failures,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const given = process.argv.slice(2);
const chosen = given.filter((argument) => argument !== "--verify");
const projects = ["tiny", "unit", "system", ...(given.includes("--verify") ? ["verify"] : [])];
const runs = chosen.length > 0 ? [chosen] : projects.map((project) => ["--project", project]);
let total: Counts = { passed: 0, failed: 0, skipped: 0, failures: [] };
for (const args of runs) {
  const counts = await vitest(args);
  total = {
    passed: total.passed + counts.passed,
    failed: total.failed + counts.failed,
    skipped: total.skipped + counts.skipped,
    failures: [...total.failures, ...counts.failures],
  };
  if (args.includes("tiny") && counts.failed > 0) {
    console.log("The smoke test failed; the other tests were not run.");
    break;
  }
}
const told = ({ file, what }: Failure): string => (file === undefined ? what : `${file}: ${what}`);
const files = [...new Set(total.failures.map(({ file }) => file))];
const mayBeChance = files.length <= 3 && files.every((file) => file !== undefined);
if (given.includes("--verify") && total.failed > 0 && mayBeChance) {
  const again = await vitest(files);
  if (again.failed === 0) {
    for (const failure of total.failures) console.log(`passed when run again: ${told(failure)}`);
    total = { ...total, passed: total.passed + total.failed, failed: 0, failures: [] };
  }
}
for (const failure of total.failures) console.log(`failed: ${told(failure)}`);
if (total.skipped > 0) console.log(`${total.skipped} skipped, for the reasons that they gave`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
