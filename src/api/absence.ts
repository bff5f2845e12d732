import type { Connected } from './client.ts';

/** That auth is away, and why, in words for operators; undefined while auth is followed. */
export function absenceOf({ state }: { readonly state: Pick<Connected, 'connection'> }): string | undefined {
  const link = state.connection();
  return link.status === 'away' ? `auth is away (${link.reason})` : undefined;
}
