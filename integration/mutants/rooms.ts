/** The rooms that decide or keep. `ssh` became three. */
export const deciding = [
  'domain',
  'pki',
  'log',
  'auth',
  'proxy',
  'node',
  'ssh',
  'machine',
  'transfer',
  'process',
] as const;
export type Room = (typeof deciding)[number];

/**
 * Files in which a change is either no fault or is seen only with what no unit test has: text and style of
 * pages, calls of the C library, what is passed on to ssh2, and harnesses of tests. Integration tests drive
 * them.
 */
const elsewhere =
  /(?:^|[/-])testing\.ts$|\.test\.ts$|\/web\/(?:pages|style)\.ts$|\/machine\/(?:libc|libc-[a-z]+|pty)\.ts$|\/ssh\/ssh2-[a-z]+\.ts$/;

/** @param path from the root of the tree */
export const isMutated = (path: string): boolean => path.endsWith('.ts') && !elsewhere.test(path);

/** @throws Error for a name that is no room. */
export function roomsOf(text: string | undefined): readonly Room[] {
  if (text === undefined || text === '') return deciding;
  return text.split(',').map((name) => {
    const room = deciding.find((one) => one === name);
    if (room === undefined) throw new Error(`ROOMS: ${name} is not one of ${deciding.join(', ')}`);
    return room;
  });
}
