// A filter as a condition on records, `seq` in hand. Values are bound, never written into the statement, and
// lists as one JSON text, since a statement takes 100 values at most.
import type { FilterCondition, SearchFilter, TagFilter } from "@blip2-edge/shared/contracts/search";
import { attributeValue, autoTagName, tagName, type IndexValue } from "./index-sql.ts";

export interface Condition {
  readonly sql: string;
  readonly values: readonly IndexValue[];
}

const having = (name: string, what: string, ...values: IndexValue[]): Condition => ({
  sql: `seq IN (SELECT seq FROM attributes WHERE name = ? AND ${what})`,
  values: [name, ...values],
});
const not = ({ sql, values }: Condition): Condition => ({ sql: `NOT (${sql})`, values });
const listed = "value IN (SELECT value FROM json_each(?))";

export function conditionsOf({ tags, auto_tags: autoTags, metadata }: SearchFilter): Condition[] {
  const conditions = [...tagConditions(tagName, tags), ...tagConditions(autoTagName, autoTags)];
  for (const [name, condition] of Object.entries(metadata ?? {})) {
    conditions.push(...conditionsOn(name, condition));
  }
  return conditions;
}

function tagConditions(name: string, { any, all, none }: TagFilter = {}): Condition[] {
  const conditions: Condition[] = [];
  const tagList = (list: readonly string[]) => JSON.stringify(list.map(attributeValue));
  if (any !== undefined) conditions.push(having(name, listed, tagList(any)));
  if (none !== undefined) conditions.push(not(having(name, listed, tagList(none))));
  if (all !== undefined) {
    const each = [...new Set(all)];
    conditions.push({
      sql: `(SELECT count(*) FROM attributes a WHERE a.seq = records.seq AND name = ? AND ${listed}) = ?`,
      values: [name, tagList(each), each.length],
    });
  }
  return conditions;
}

const comparisons = { gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;

function conditionsOn(name: string, condition: FilterCondition): Condition[] {
  if (typeof condition !== "object") return [having(name, "value = ?", attributeValue(condition))];
  const list = (values: readonly (string | number | boolean)[]) =>
    JSON.stringify(values.map(attributeValue));
  const conditions: Condition[] = [];
  if (condition.in !== undefined) conditions.push(having(name, listed, list(condition.in)));
  if (condition.not_in !== undefined) {
    conditions.push(not(having(name, listed, list(condition.not_in))));
  }
  for (const [key, operator] of Object.entries(comparisons)) {
    const bound = condition[key as keyof typeof comparisons];
    if (bound === undefined) continue;
    conditions.push(
      having(name, `typeof(value) IN ('integer', 'real') AND value ${operator} ?`, bound),
    );
  }
  return conditions;
}
