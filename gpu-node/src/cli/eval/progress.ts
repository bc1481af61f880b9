// How far an evaluation is, about twenty lines of it, on standard error.
const lines = 20;

export function createProgress(
  say: (line: string) => void,
): (what: string, done: number, of: number) => void {
  const shown = new Map<string, number>();
  return (what, done, of) => {
    const step = Math.floor((done * lines) / of);
    if (step <= (shown.get(what) ?? 0)) return;
    shown.set(what, step);
    say(`${what}: ${done} of ${of}`);
  };
}
