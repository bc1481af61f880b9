// Pictures drawn in code, so that a parity report needs no files and is the same everywhere: a gradient with
// discs on it, other colours and places for each seed.

const discs = 4;

/** Numbers in [0, 1), the same for the same seed: Park and Miller's generator. */
function createDraw(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (state * 48271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}

/** RGB bytes of a square picture: u8 [size, size, 3]. */
export function drawPicture(size: number, seed: number): Uint8Array {
  const draw = createDraw(seed);
  // The first numbers of near seeds are near each other.
  for (let skipped = 0; skipped < 8; skipped += 1) draw();
  const colour = (): readonly number[] => [0, 1, 2].map(() => Math.floor(draw() * 256));
  const ground = [colour(), colour()];
  const shapes = Array.from({ length: discs }, () => ({
    x: draw(),
    y: draw(),
    radius: 0.08 + draw() / 4,
    colour: colour(),
  }));
  const rgb = new Uint8Array(size * size * 3);
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const [x, y] = [(column + 0.5) / size, (row + 0.5) / size];
      const top = shapes.findLast((disc) => Math.hypot(disc.x - x, disc.y - y) < disc.radius);
      for (let channel = 0; channel < 3; channel += 1) {
        const [from = 0, to = 0] = ground.map((each) => each[channel] ?? 0);
        const value = top?.colour[channel] ?? Math.round(from + (to - from) * y);
        rgb[(row * size + column) * 3 + channel] = value;
      }
    }
  }
  return rgb;
}
