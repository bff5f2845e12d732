import { writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import type koffiModule from 'koffi';
import { CodedError } from '../base/errors.ts';
import type { OsUser } from './passwd.ts';
import type { SocketAddress } from './socket-address.ts';

type Koffi = typeof koffiModule;

/** The owner of a socket for the firewall and routing rules. */
export type SocketOwner = Pick<OsUser, 'uid' | 'gid' | 'groups'>;
export type ConnectAs = (owner: SocketOwner, address: SocketAddress) => number;

/** Linux numbers of calls that change one thread only. Source: asm/unistd_64.h, asm-generic/unistd.h. */
const callNumbers: Readonly<
  Record<string, { setfsuid: number; setfsgid: number; getgroups: number; setgroups: number }>
> = {
  x64: { setfsuid: 122, setfsgid: 123, getgroups: 115, setgroups: 116 },
  arm64: { setfsuid: 151, setfsgid: 152, getgroups: 158, setgroups: 159 },
};
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const EINPROGRESS = 115;
/** Not an id: the call returns the present one and changes nothing. Source: setfsuid(2). */
const ASK = 0xffff_ffff;
/** Linux has no more. Source: getgroups(2). */
const MAX_GROUPS = 65_536;

/**
 * Makes `connectAs`: a TCP socket that belongs to a person, not to us, and has begun to connect. During the
 * call only the thread's filesystem ids and groups are the person's (RFD 21): they let nobody signal, trace
 * or slow a thread, and no other thread sees them. Nothing else runs on the thread until they are ours again;
 * a thread that cannot get them back ends the process.
 *
 * `connectAs` returns a descriptor, not blocking, close-on-exec, that the caller closes.
 * @throws CodedError `unavailable` when the ids cannot be taken on, or the address is refused at once.
 */
export function bindConnectAs(koffi: Koffi, lib: ReturnType<Koffi['load']>): ConnectAs {
  const numbers = callNumbers[process.arch];
  if (numbers === undefined)
    return () => {
      throw new CodedError('unavailable', `connecting as a login is not known for ${process.arch}`);
    };
  const one = lib.func('long syscall(long, size_t)');
  const list = lib.func('long syscall(long, size_t, _Inout_ uint32_t *)');
  const socket = lib.func('int socket(int, int, int)');
  const connect = lib.func('int connect(int, uint8_t *, uint32_t)');
  const close = lib.func('int close(int)');
  const fail = (what: string): CodedError =>
    new CodedError('unavailable', `${what} failed: ${getSystemErrorName(-koffi.errno())}`);

  const ownGroups = (): Uint32Array => {
    const all = new Uint32Array(MAX_GROUPS);
    const count = Number(list(numbers.getgroups, MAX_GROUPS, all));
    if (count < 0) throw fail('getgroups');
    return all.slice(0, count);
  };
  /** Where the thread may set none (a user namespace, no CAP_SETGID), it still has those that it had. */
  const setGroups = (groups: Uint32Array): boolean =>
    list(numbers.setgroups, groups.length, groups) === 0 || ownGroups().join() === groups.toSorted().join();
  /** The call itself reports no failure. */
  const setId = (call: number, id: number): boolean => {
    one(call, id);
    return Number(one(call, ASK)) === id;
  };
  const ours = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, groups: ownGroups() };
  const take = ({ uid, gid, groups }: typeof ours): boolean => {
    // All three are tried even if one fails: they are changed again on the way back.
    const done = [setGroups(groups), setId(numbers.setfsgid, gid), setId(numbers.setfsuid, uid)];
    return done.every(Boolean);
  };
  const giveBack = (): void => {
    if (take(ours)) return;
    writeSync(2, 'teleport: a thread could not take its own ids back: ending at once\n');
    process.abort();
  };

  return ({ uid, gid, groups }, { family, bytes }) => {
    const theirs = { uid, gid, groups: Uint32Array.from(groups) };
    let fd: number;
    let failure: CodedError | undefined;
    try {
      // A call that changes an id reports no error.
      if (!take(theirs))
        throw new CodedError(
          'unavailable',
          `this node may not take on the ids of uid ${uid}: it needs CAP_SETUID and CAP_SETGID`,
        );
      fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) as number;
      if (fd < 0) throw fail('socket');
      if ((connect(fd, bytes, bytes.length) as number) < 0 && koffi.errno() !== EINPROGRESS)
        failure = fail('connect');
    } finally {
      giveBack();
    }
    if (failure === undefined) return fd;
    close(fd);
    throw failure;
  };
}
