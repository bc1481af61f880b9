import { expect, test } from "vitest";
import { defaultMinItm, measuredMinLogProbs } from "@blip2-edge/shared/contracts/connections";
import { doubtOf } from "./doubt.ts";

const measured = measuredMinLogProbs.nano;
const [above, below] = [measured + 0.01, measured - 0.01] as const;

test.each([
  // By default: the cut of the model that it was measured for, whatever its precision, and of no other.
  ["nano", above, 0.99, { min_itm: defaultMinItm }, undefined],
  ["nano@int4", below, 0.99, { min_itm: defaultMinItm }, "below_log_prob"],
  ["blip2-opt-2.7b", -0.9, 0.99, { min_itm: defaultMinItm }, undefined],
  ["constructor", -0.9, 0.99, { min_itm: defaultMinItm }, undefined],
  ["nano", above, defaultMinItm - 0.01, { min_itm: defaultMinItm }, "below_itm"],
  ["nano", above, null, { min_itm: defaultMinItm }, "itm_unknown"],
  // As the connection says.
  ["nano", -3, 0.01, { min_itm: null, min_log_prob: null }, undefined],
  ["nano", -3, 0.01, { min_itm: null, min_log_prob: -2 }, "below_log_prob"],
  ["blip2-opt-2.7b", -3, 0.99, { min_itm: 0.5, min_log_prob: -2 }, "below_log_prob"],
] as const)("%s at %d, ITM %j, told %j: %j", (model, logProb, itm, options, doubt) => {
  expect(doubtOf({ model, log_prob: logProb }, itm, options)).toBe(doubt);
});
