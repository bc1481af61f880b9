// Cloudflare's published prices as a table (prices.json, with its day and its sources), and what an amount of each unit
// costs in a month. Another table is read in its place by `--prices`: units may be left out, which are then as here.
import { z } from "zod";
import published from "./prices.json" with { type: "json" };

const unitSchema = z.strictObject({
  /** So many for `price`. */
  per: z.number().positive(),
  price: z.number().min(0),
  /** In a month, before the first is paid. */
  included: z.number().min(0),
});
export type UnitName = keyof typeof published.units;
const unitNames = Object.keys(published.units) as UnitName[];

const pricesSchema = z.strictObject({
  as_of: z.iso.date(),
  currency: z.string(),
  plan: z.string(),
  sources: z.array(z.url()),
  base_per_month: z.number().min(0),
  units: z.record(z.enum(unitNames), unitSchema),
});
export type Prices = z.infer<typeof pricesSchema>;

export const publishedPrices: Prices = pricesSchema.parse(published);

/** Throws ZodError for a unit that is none. */
export function pricesFrom(json: unknown): Prices {
  const { units, ...rest } = z
    .strictObject({
      ...pricesSchema.partial().shape,
      units: z.partialRecord(z.enum(unitNames), unitSchema).default({}),
    })
    .parse(json);
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return pricesSchema.parse({
    ...publishedPrices,
    ...given,
    units: { ...publishedPrices.units, ...units },
  });
}

export type Amounts = Readonly<Partial<Record<UnitName, number>>>;

/** Of a month, without the plan itself. */
export function priceOf({ units }: Prices, amounts: Amounts): Record<UnitName, number> {
  return Object.fromEntries(
    unitNames.map((name) => {
      const { per, price, included } = units[name];
      return [name, (Math.max(0, (amounts[name] ?? 0) - included) / per) * price];
    }),
  ) as Record<UnitName, number>;
}

export const addedUp = (...some: readonly Amounts[]): Amounts =>
  Object.fromEntries(
    unitNames.map((name) => [name, some.reduce((sum, amounts) => sum + (amounts[name] ?? 0), 0)]),
  );
export const times = (amounts: Amounts, factor: number): Amounts =>
  Object.fromEntries(unitNames.map((name) => [name, (amounts[name] ?? 0) * factor]));
