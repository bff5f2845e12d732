import { closeSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';

/** Names of the variables by which one generation of the daemon tells the next what it left it. */
export const inheritanceVariables = { files: 'TELEPORT_OS_FILES', ready: 'TELEPORT_READY_FD' } as const;

/** One listening socket that the process was started with. */
export interface InheritedListener {
  readonly name: string;
  /** As it was configured: a successor takes it only when it wants just that address. `*`: whatever it wants. */
  readonly addr: string;
  readonly fd: number;
}

const inherited = z.array(
  z.object({ name: z.string(), addr: z.string(), fd: z.number().int().min(3).max(65_535) }),
);

/** What a started process found: listeners to take over, and the pipe on which somebody waits for it to be ready. */
export interface Inheritance {
  /** Gives a listener away; undefined when there is none for that name and address. */
  take(name: string, address: HostPort): number | undefined;
  /** Closes the listeners that nobody wanted. Answers their names. */
  closeRest(): string[];
  /** Tells the predecessor something. Does nothing when there is none, or it is gone. */
  tell(message: PredecessorMessage): void;
  /** Whether a predecessor waits. */
  readonly hasPredecessor: boolean;
  /** What was wrong with what was found. */
  readonly warning: string | undefined;
}

/** Lines of JSON on the pipe. */
export type PredecessorMessage =
  /** Something the successor logged before it was ready. */
  | { readonly type: 'line'; readonly text: string }
  /** It serves, and waits to be a child of process 1: only then systemd, which it tells next, sees when it dies. */
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

/**
 * Reads the variables of a predecessor and of systemd's socket units, and removes them from `env`, so that no child
 * takes them for its own. The pipe stays open for the life of the process: its end tells the predecessor that it died.
 * Sources: sd_listen_fds(3); restart of 4.4.
 */
export function adoptInheritance(env: NodeJS.ProcessEnv, pid = process.pid): Inheritance {
  const left = fromPredecessor(env);
  const listeners = [...left.listeners, ...fromSystemd(env, pid)];
  const pipe = Number(env[inheritanceVariables.ready] ?? Number.NaN);
  for (const name of [...Object.values(inheritanceVariables), 'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'])
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the environment has no other way
    delete env[name];
  let open = Number.isInteger(pipe);
  return {
    hasPredecessor: open,
    warning: left.warning,
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
      if (!open) return;
      try {
        writeSync(pipe, `${JSON.stringify(message)}\n`);
      } catch {
        // It is gone, or waits no longer: then it is we who serve.
        open = false;
      }
    },
  };
}

function fromPredecessor(env: NodeJS.ProcessEnv): {
  readonly listeners: InheritedListener[];
  readonly warning?: string;
} {
  const text = env[inheritanceVariables.files];
  if (text === undefined || text === '') return { listeners: [] };
  try {
    return { listeners: inherited.parse(JSON.parse(text)) };
  } catch (e) {
    const warning = `${inheritanceVariables.files} is not understood, listeners are opened anew: ${messageOf(e)}`;
    return { listeners: [], warning };
  }
}

function fromSystemd(env: NodeJS.ProcessEnv, pid: number): InheritedListener[] {
  if (Number(env['LISTEN_PID']) !== pid) return [];
  const count = Number(env['LISTEN_FDS'] ?? '0');
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: count }, (_, i) => ({
    name: socketUnitNames[names[i] ?? ''] ?? names[i] ?? '',
    addr: '*',
    fd: 3 + i,
  }));
}
