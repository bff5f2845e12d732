import { isCoded } from '../base/errors.ts';
import { systemProgram, type OsUser } from './passwd.ts';
import { withIdsOf } from './program-line.ts';
import type { ProgramStarter } from './program-starter.ts';
import { signalGroup } from './signal-group.ts';

const environment = [['PATH', '/usr/bin:/bin']] as const;

/**
 * Each signal to the process group, and to the process alone while it leads none yet. Returns the result of
 * the last one. Not `kill -s NAME -- -PID`: the shell of BusyBox sends that, reports a failure, and so it
 * would be sent twice.
 */
export const signalScript = 'pid=$1; shift; for s; do kill "-$s" "-$pid" || kill "-$s" "$pid"; done';

/**
 * Sends signals, `HUP` for example, to the process group of `pid` with the rights of `user` only: what it may
 * not signal by itself (a set-uid program that has become root) it does not reach through us. A child sends
 * them, as a thread of ours with the ids of a person could be signalled by that person (RFD 21). False:
 * nobody is there who may be signalled. Never rejects.
 */
export async function signalAs(
  user: OsUser,
  pid: number,
  names: readonly string[],
  { starter, of }: { readonly starter: ProgramStarter; readonly of: object },
): Promise<boolean> {
  if (process.getuid?.() === user.uid) return names.map((name) => signalGroup(pid, name)).at(-1) === true;
  const setpriv = systemProgram('setpriv');
  if (setpriv === undefined) return false; // nothing could be started as this user either
  const argv = withIdsOf(setpriv, user, ['/bin/sh', '-c', signalScript, 'sh', String(pid), ...names]);
  const order = {
    argv,
    environment,
    folder: '/',
    streams: ['none', 'none', 'none'],
    newSession: false,
  } as const;
  try {
    const { ended } = await starter.start(order, of);
    const end = await ended;
    return end.status === 'exited' && end.code === 0;
  } catch (e) {
    if (!isCoded(e)) throw e;
    return false; // no process is left for us: nothing was sent
  }
}

/**
 * The signals of one program, one after the other. A signal that already waits is not queued twice, as in the
 * kernel: however many a client requests, one child runs and a dozen wait.
 */
export class SignalSender {
  readonly #send: (names: readonly string[]) => Promise<boolean>;
  readonly #waiting = new Map<string, Promise<boolean>>();
  #last: Promise<unknown> = Promise.resolve();

  /** `send` never rejects. */
  constructor(send: (names: readonly string[]) => Promise<boolean>) {
    this.#send = send;
  }

  /** Whether the last of them reached a process. Never rejects. */
  send(...names: readonly string[]): Promise<boolean> {
    const key = names.join(' ');
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) return waiting;
    const sent = this.#last.then(() => {
      this.#waiting.delete(key);
      return this.#send(names);
    });
    this.#waiting.set(key, sent);
    this.#last = sent;
    return sent;
  }
}
