/** Page after page of a list, as long as one names a cursor for the next. Errors: those of `read`. */
export async function* everyPage<Page extends { readonly cursor?: string | undefined }>(
  read: (cursor: string | undefined) => Promise<Page>,
): AsyncGenerator<Page> {
  let cursor: string | undefined;
  do {
    const page = await read(cursor);
    yield page;
    ({ cursor } = page);
  } while (cursor !== undefined);
}
