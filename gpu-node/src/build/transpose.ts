// Transposition of a row panel, in blocks that stay in the cache.

const block = 32;

/** [rows, columns] -> [columns, rows], both dense. */
export function transposePanel<T extends Float32Array | Uint16Array>(
  source: T,
  target: T,
  rows: number,
  columns: number,
): void {
  for (let row = 0; row < rows; row += block) {
    const rowEnd = Math.min(row + block, rows);
    for (let column = 0; column < columns; column += block) {
      const columnEnd = Math.min(column + block, columns);
      for (let c = column; c < columnEnd; c += 1) {
        for (let r = row; r < rowEnd; r += 1) target[c * rows + r] = source[r * columns + c]!;
      }
    }
  }
}
