import { pause } from '../../base/backoff.ts';
import { createLock } from '../../api/operations/lock.ts';
import { listSessions as list } from '../../api/operations/session.ts';
import type { AuthClient } from '../../api/client.ts';
import { CodedError } from '../../base/errors.ts';
import { second } from '../../base/time.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { filteredSessions, type RunningSession, sessionsJson, sessionsText } from '../sessions-text.ts';
import { withAuth } from './connect.ts';
import { heardOrDone } from './lost-answer.ts';

/** `tctl sessions ls` */
export async function listSessions(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const running = await ask(invocation, io, (auth) => auth.call(list, {}));
  const shown = filteredSessions(running, { user: invocation.text('user'), node: invocation.text('node') });
  io.stdout.write(
    invocation.text('format') === 'json' ? sessionsJson(shown) : sessionsText(shown, io.world.now()),
  );
  return 0;
}

/** A node ends it at once, and tells so with its next heartbeat. */
const confirmedWithinMs = 20 * second;
const askEveryMs = second / 2;
/** Longer than any node is away from the log without counting as gone. */
const lockSeconds = 600;

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** `tctl sessions end`: by a lock on the session, which every node follows. */
export async function endSession(
  invocation: Invocation,
  io: CliIo,
  ask = withAuth,
  wait = pause,
): Promise<number> {
  const sid = (invocation.arg('session-id') ?? '').trim().toLowerCase();
  if (!uuid.test(sid))
    throw new CodedError('bad_request', `${JSON.stringify(sid)} is not a valid session ID (must be GUID)`);
  const message = invocation.text('message') ?? 'this session was ended by an administrator';
  return ask(invocation, io, async (auth) => {
    const session = await running(auth, sid);
    if (session === undefined)
      throw new CodedError('not_found', `session '${sid}' not found or it has ended`);
    const lock = { kind: 'session', target: sid, message, ttlSeconds: lockSeconds } as const;
    await heardOrDone(auth.call(createLock, lock), io);
    const what = `session ${sid} of ${session.user} on ${session.nodename}`;
    if (await hasEnded(auth, sid, io, wait)) {
      io.stdout.write(`Ended ${what}.\n`);
      return 0;
    }
    io.stderr.write(
      `${what} was told to end, and its node has not confirmed that within ${confirmedWithinMs / second} s: it ends when the node hears from an auth server within ${lockSeconds / 60} minutes; "tctl sessions ls" shows whether it runs\n`,
    );
    return 1;
  });
}

const running = async (auth: AuthClient, sid: string): Promise<RunningSession | undefined> =>
  (await auth.call(list, {})).sessions.find((one) => one.sid === sid);

async function hasEnded(auth: AuthClient, sid: string, io: CliIo, wait: typeof pause): Promise<boolean> {
  const began = io.world.monotonic();
  while (io.world.monotonic() - began < confirmedWithinMs) {
    if ((await running(auth, sid)) === undefined) return true;
    await wait(askEveryMs);
  }
  return false;
}
