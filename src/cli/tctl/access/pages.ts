/** Page after page: the next one is asked for when the one before has been used. */
export async function* pagesOf<Cursor, Page extends { readonly next?: Cursor | undefined }>(
  ask: (after: Cursor | undefined) => Promise<Page>,
): AsyncGenerator<Page> {
  let after: Cursor | undefined;
  do {
    const page = await ask(after);
    yield page;
    after = page.next;
  } while (after !== undefined);
}
