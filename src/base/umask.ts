/**
 * The umask of this process. There is no call that only reads it: during the call other threads make files
 * for their owner alone.
 */
export function ownUmask(): number {
  const before = process.umask(0o077);
  process.umask(before);
  return before;
}
