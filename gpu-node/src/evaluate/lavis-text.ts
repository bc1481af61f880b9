// Captions and questions as LAVIS hands them to the model (its processors blip_caption and blip_question).
const maxWords = 50;
const signs = /[.!"()*#:;~]/g;

const cut = (text: string): string => text.split(" ").slice(0, maxWords).join(" ");

/** Signs become spaces, white space collapses. */
export const lavisCaption = (caption: string): string =>
  cut(
    caption
      .toLowerCase()
      .replaceAll(signs, " ")
      .replaceAll(/\s{2,}/g, " ")
      .replace(/\n+$/, "")
      .replaceAll(/^ +| +$/g, ""),
  );

/** Signs vanish; `?` is none of them. */
export const lavisQuestion = (question: string): string =>
  cut(question.toLowerCase().replaceAll(signs, "").replace(/ +$/, ""));
