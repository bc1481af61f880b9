import { expect, test } from "vitest";
import { checkContext, checkEncoderContext } from "./context-limit.ts";

const use = { imageTokens: 32, textTokens: 8, maxNewTokens: 20, context: 60 };

test("one sequence holds image, text and answer", () => {
  checkContext(use);
  expect(() => checkContext({ ...use, textTokens: 9 })).toThrow(/61 of 60 positions/);
});

test("an encoder holds image and text, a decoder its start token and the answer", () => {
  checkEncoderContext({ ...use, textTokens: 28, maxNewTokens: 59 });
  expect(() => checkEncoderContext({ ...use, textTokens: 29 })).toThrow(/text 29: 61 of 60/);
  expect(() => checkEncoderContext({ ...use, maxNewTokens: 60 })).toThrow(
    /60 new tokens .* 61 of 60 positions/,
  );
});
