import { CodedError, type ErrorCode, messageOf } from '../../src/base/errors.ts';

/** How long to wait for another process's transaction. */
export const busyMs = 10_000;
/**
 * SQLite retries less and less often, up to every 100 ms, and may also give up at once. A process that writes
 * without pause leaves shorter gaps, so the waiting begins again after this time.
 */
export const patienceMs = 8;

type Refusal = Extract<ErrorCode, 'no_space' | 'damaged' | 'unavailable' | 'too_large'>;

/**
 * Primary result codes that are given before the frame that commits is in the write-ahead file: nothing was
 * written. Not among them, although they may come early as well: 10 (input or output failed) and 7 (no
 * memory), which may also come after that frame was written, when it is found at the next recovery; and
 * unknown codes. 13 (full) is given for a write that was cut short. The frame that commits is the last one,
 * so it is not whole. Sources: sqlite.org/rescode.html; sqlite3WalFrames and unixWrite of SQLite.
 */
const refusals: ReadonlyMap<number, Refusal> = new Map<number, Refusal>([
  [5, 'unavailable'],
  [6, 'unavailable'],
  [8, 'unavailable'],
  [11, 'damaged'],
  [13, 'no_space'],
  [14, 'unavailable'],
  [15, 'unavailable'],
  [18, 'too_large'],
  [23, 'unavailable'],
  [26, 'damaged'],
]);

/** The meaning of a failed read. Any other code is a bug. */
const failedReadings: ReadonlyMap<number, Refusal> = new Map<number, Refusal>([
  ...refusals,
  [7, 'unavailable'],
  [10, 'unavailable'],
]);

/** @throws CodedError as the result code says; anything else is a bug */
export function reading<T>(act: () => T): T {
  try {
    return untilFree(act);
  } catch (e) {
    const primary = primaryCode(e);
    const code = primary === undefined ? undefined : failedReadings.get(primary);
    throw code === undefined ? e : coded(code, e);
  }
}

/** @throws CodedError `ambiguous` unless the result code proves that nothing was written */
export function writing<T>(act: () => T): T {
  try {
    return untilFree(act);
  } catch (e) {
    const primary = primaryCode(e);
    throw primary === undefined ? e : coded(refusals.get(primary) ?? 'ambiguous', e);
  }
}

const coded = (code: ErrorCode, e: unknown): CodedError =>
  new CodedError(code, `the local log database: ${messageOf(e)}`, { cause: e });

function primaryCode(e: unknown): number | undefined {
  const code = e instanceof Error && 'errcode' in e ? e.errcode : undefined;
  return typeof code === 'number' ? code & 0xff : undefined;
}

/** Repeats it while another process is writing: a refusal for that reason changed nothing. */
function untilFree<T>(act: () => T): T {
  const end = performance.now() + busyMs;
  for (;;) {
    try {
      return act();
    } catch (e) {
      if (primaryCode(e) !== 5 || performance.now() > end) throw e;
      // Changing the journal mode does not wait by itself.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
