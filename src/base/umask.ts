/**
 * The bits that files of this process are made without. There is no call that only reads it: for the moment
 * between another thread makes files for their owner alone.
 */
export function ownUmask(): number {
  const before = process.umask(0o077);
  process.umask(before);
  return before;
}
