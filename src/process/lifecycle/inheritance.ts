import { closeSync, fstatSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { messageOf } from '../../base/errors.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';

/** Names of the environment variables by which one generation of the daemon hands over to the next. */
export const inheritanceVariables = {
  files: 'TELEPORT_OS_FILES',
  ready: 'TELEPORT_READY_FD',
  lock: 'TELEPORT_LOCK_FD',
} as const;

/** One listening socket that the process was started with. */
export interface InheritedListener {
  readonly name: string;
  /**
   * The configured address: a successor takes the socket only when it wants exactly that address. `*`:
   * whatever it wants.
   */
  readonly addr: string;
  readonly fd: number;
}

const inherited = z.array(
  z.object({ name: z.string(), addr: z.string(), fd: z.number().int().min(3).max(65_535) }),
);

/**
 * What a process was started with: listeners to take over, and the pipe on which a predecessor waits for it
 * to be ready.
 */
export interface Inheritance {
  /** Hands out a listener; undefined when there is none for that name and address. */
  take(name: string, address: HostPort): number | undefined;
  /** Closes the listeners that nobody took, and returns their names. */
  closeRest(): string[];
  /** Sends the predecessor a message. Does nothing when there is none, or it is gone. */
  tell(message: PredecessorMessage): void;
  /** Whether a predecessor waits. */
  readonly hasPredecessor: boolean;
  /** The open file that is the predecessor's lock of its data directory (`data-dir-lock.ts`). */
  readonly lock: number | undefined;
  /** What was wrong with the variables. */
  readonly warning: string | undefined;
}

/** Lines of JSON on the pipe. */
export type PredecessorMessage =
  /** Something the successor logged before it was ready. */
  | { readonly type: 'line'; readonly text: string }
  /**
   * It serves, and waits to be a child of process 1: only then does systemd, which is notified next, see when
   * it dies.
   */
  | { readonly type: 'serving'; readonly pid: number }
  | { readonly type: 'ready'; readonly pid: number }
  | { readonly type: 'failed'; readonly reason: string };

/** systemd's names have no colon. */
const socketUnitNames: Readonly<Record<string, string>> = {
  'proxy-ssh': 'proxy:ssh',
  'proxy-web': 'proxy:web',
  auth: 'auth',
  node: 'node',
  diag: 'diag',
};

export interface AdoptionOptions {
  /** Default: of this process. */
  readonly pid?: number;
  /** Whether a descriptor is open, and a socket. */
  readonly isSocket?: (fd: number) => boolean;
}

/**
 * Reads the variables of a predecessor and of systemd's socket units, and removes them from `env`, so that no
 * child takes them for its own. The pipe stays open as long as the process lives, so that the predecessor
 * notices when it dies. A descriptor that is not a socket now is ignored: it may belong to the runtime, or to
 * a file that this process opens later. Sources: sd_listen_fds(3); restart of 4.4.
 */
export function adoptInheritance(
  env: NodeJS.ProcessEnv,
  { pid = process.pid, isSocket = isOpenSocket }: AdoptionOptions = {},
): Inheritance {
  const warnings: string[] = [];
  const seen = new Set<number>();
  const strays = new Map<string, number[]>();
  const isOurs = (fd: number, variable: string): boolean => {
    const good = !seen.has(fd) && isSocket(fd);
    if (good) seen.add(fd);
    else strays.set(variable, [...(strays.get(variable) ?? []), fd]);
    return good;
  };
  const pipe = pipeFrom(env, isOurs, warnings);
  const listeners = [
    ...fromPredecessor(env, warnings).filter(({ fd }) => isOurs(fd, inheritanceVariables.files)),
    ...fromSystemd(env, pid, warnings).filter(({ fd }) => isOurs(fd, 'LISTEN_FDS')),
  ];
  const lock = lockFrom(env, warnings);
  for (const name of [...Object.values(inheritanceVariables), 'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'])
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the environment has no other way
    delete env[name];
  for (const [variable, fds] of strays) warnings.push(aboutStrays(variable, fds));
  let open = pipe !== undefined;
  return {
    hasPredecessor: open,
    lock,
    warning: warnings.length === 0 ? undefined : warnings.join('; '),
    take: (name, address) => {
      const text = formatHostPort(address);
      const at = listeners.findIndex((one) => one.name === name && (one.addr === text || one.addr === '*'));
      return at < 0 ? undefined : listeners.splice(at, 1)[0]?.fd;
    },
    closeRest: () =>
      listeners.splice(0).map(({ name, addr, fd }) => {
        closeSync(fd);
        return `${name} ${addr}`;
      }),
    tell: (message) => {
      if (!open || pipe === undefined) return;
      try {
        writeSync(pipe, `${JSON.stringify(message)}\n`);
      } catch {
        // It is gone, or waits no longer: then this process serves.
        open = false;
      }
    },
  };
}

function isOpenSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false; // nothing is open there
  }
}

function aboutStrays(variable: string, fds: readonly number[]): string {
  const more = fds.length > maxNamed ? ` and ${fds.length - maxNamed} more` : '';
  const named = `${fds.slice(0, maxNamed).join(', ')}${more}`;
  return `${variable} names a descriptor that is not a socket left to this process: ${named}`;
}

const maxNamed = 4;
/** The first three are standard input, output and error. */
const firstInherited = 3;
const decimal = /^\d{1,4}$/;

function pipeFrom(
  env: NodeJS.ProcessEnv,
  isOurs: (fd: number, variable: string) => boolean,
  warnings: string[],
): number | undefined {
  const text = env[inheritanceVariables.ready];
  if (text === undefined) return undefined;
  if (!decimal.test(text) || Number(text) < firstInherited) {
    warnings.push(`${inheritanceVariables.ready} is not a descriptor on which a predecessor waits`);
    return undefined;
  }
  return isOurs(Number(text), inheritanceVariables.ready) ? Number(text) : undefined;
}

function lockFrom(env: NodeJS.ProcessEnv, warnings: string[]): number | undefined {
  const text = env[inheritanceVariables.lock];
  if (text === undefined) return undefined;
  if (decimal.test(text) && Number(text) >= firstInherited && isOpenFile(Number(text))) return Number(text);
  warnings.push(`${inheritanceVariables.lock} is not the open file that a predecessor left`);
  return undefined;
}

function isOpenFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false; // nothing is open there
  }
}

function fromPredecessor(env: NodeJS.ProcessEnv, warnings: string[]): InheritedListener[] {
  const text = env[inheritanceVariables.files];
  if (text === undefined || text === '') return [];
  try {
    return inherited.parse(JSON.parse(text));
  } catch (e) {
    warnings.push(
      `${inheritanceVariables.files} is not understood, so new listeners are opened: ${messageOf(e)}`,
    );
    return [];
  }
}

function fromSystemd(env: NodeJS.ProcessEnv, pid: number, warnings: string[]): InheritedListener[] {
  if (Number(env['LISTEN_PID']) !== pid) return [];
  const count = env['LISTEN_FDS'] ?? '0';
  if (!decimal.test(count)) {
    warnings.push('LISTEN_FDS is not a number of sockets, so new listeners are opened');
    return [];
  }
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: Number(count) }, (_, i) => ({
    name: socketUnitNames[names[i] ?? ''] ?? names[i] ?? '',
    addr: '*',
    fd: firstInherited + i,
  }));
}
