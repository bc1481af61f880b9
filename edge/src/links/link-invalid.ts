// The one refusal of signed links: outside it does not say whether a link was changed, is over or was taken back;
// the log learns which.
import { AppError } from "@blip2-edge/shared/problem";

export const linkInvalid = (internal: string): AppError =>
  new AppError("link_invalid", "This link is not whole, or its time is over. Ask for a new one.", {
    internal,
  });
