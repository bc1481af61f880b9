// What the rooms about jobs need of D1.
import type { BoundStatement, KeyTable } from "../auth/tables.ts";

export interface JobTables extends KeyTable {
  /** All of them or none, in their order. */
  batch(statements: BoundStatement[]): Promise<readonly { readonly results: readonly unknown[] }[]>;
}
