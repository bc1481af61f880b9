// What the rooms about keys need of D1.

export type SqlValue = string | number | null;

export interface BoundStatement {
  first(): Promise<unknown>;
  all(): Promise<{ readonly results: readonly unknown[] }>;
  run(): Promise<unknown>;
}

export interface KeyTable {
  prepare(sql: string): { bind(...values: SqlValue[]): BoundStatement };
}
