import { Duplex, PassThrough } from 'node:stream';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeWorld, recordingSink } from '../api/testing.ts';
import { CodedError } from '../base/errors.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import { expectInCatalogue } from '../domain/testing.ts';
import type { SessionOpen, SessionRequest } from '../ssh/cert-server.ts';
import type { ExitStatus, ServerSessionChannel } from '../ssh/channel-types.ts';
import type { OsUser } from '../machine/passwd.ts';
import { NodeAudit } from './node-audit.ts';
import { noRecordings } from './recording/session-recordings.ts';
import { SharedSessions } from './joining/shared-terminal.ts';
import { noLists } from './testing.ts';
import type { SessionContext } from './session-context.ts';
import { Session } from './session.ts';

/** What the start of a session does, in order. The program can do without those of `side`. */
const side = ['environment file', 'agent', 'terminal group', 'terminal owner'] as const;
const needed = ['account', 'terminal', 'program', 'end'] as const;
type Step = (typeof side)[number] | (typeof needed)[number];

/** What goes wrong now, by step. */
const faults = vi.hoisted(() => new Map<string, () => unknown>());
const step = vi.hoisted(() => (name: string) => {
  const fault = faults.get(name);
  if (fault !== undefined) throw fault();
});

vi.mock(import('./login-account.ts'), () => ({
  loginAccount: () => {
    step('account');
    return Promise.resolve(user);
  },
}));
vi.mock(import('./read-user-environment.ts'), () => ({
  // eslint-disable-next-line @typescript-eslint/require-await -- fails as the true one does: by a rejection
  readUserEnvironment: async () => {
    step('environment file');
    return [];
  },
}));
vi.mock(import('../machine/pty.ts'), async (original) => {
  class FakePty {
    readonly path = '/dev/pts/1';
    readonly stream = program().stdout;
    readonly notOwned =
      faults.get('terminal owner') === undefined ? undefined : 'EROFS: read-only file system';
    constructor() {
      step('terminal');
    }
    resize(): void {
      // nobody looks
    }
    close(): void {
      this.stream.destroy();
    }
  }
  return { ...(await original()), Pty: FakePty as never };
});
vi.mock(import('../machine/user-process.ts'), async (original) => ({
  ...(await original()),
  // eslint-disable-next-line @typescript-eslint/require-await -- fails as the true one does: by a rejection
  startProgram: async (start) => {
    step('program');
    if (start.unwanted?.aborted === true) throw new CodedError('unavailable', 'who asked has left');
    const exit: ExitStatus = { status: 'exited', code: 0 };
    return {
      pid: 2,
      pipes: start.pty === undefined ? program() : undefined,
      get ended() {
        // A failure where nothing is expected to fail.
        step('end');
        return Promise.resolve(exit);
      },
      signal: () => Promise.resolve(false),
      hangUp: () => Promise.resolve(),
    };
  },
}));

/** Streams of a program that said something and has ended. */
function program(): { stdin: PassThrough; stdout: PassThrough; stderr: PassThrough } {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdout.end('ran');
  stderr.end();
  return { stdin, stdout, stderr };
}

const user: OsUser = { name: 'joe', uid: 1000, gid: 1000, home: '/home/joe', shell: '/bin/sh' } as OsUser;
let events: AuditEvent[];
beforeEach(() => {
  faults.clear();
  events = [];
});

interface Seen {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: ExitStatus | undefined;
  readonly names: readonly string[];
}

/**
 * One session with a terminal, an agent and variables of the home, from its requests to its end.
 * @param left aborted: its connection is gone before its program has started.
 */
async function session(left = new AbortController().signal): Promise<Seen> {
  const world = fakeWorld();
  const sink = recordingSink();
  const seen = { stdout: '', stderr: '', exit: undefined as ExitStatus | undefined };
  const keep = (stream: 'stdout' | 'stderr'): Duplex =>
    new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        seen[stream] += chunk.toString();
        done();
      },
    });
  const channel = Object.assign(keep('stdout'), {
    stderr: keep('stderr'),
    gone: new Promise<void>(() => undefined),
    request: () => Promise.resolve(true),
    tellExit: (exit: ExitStatus) => {
      seen.exit ??= exit;
    },
    dropOutput: () => undefined,
    finish: (exit: ExitStatus) => {
      seen.exit ??= exit;
      return Promise.resolve();
    },
  }) as unknown as ServerSessionChannel;
  const outbox = {
    emit: (event: AuditEvent) => {
      expectInCatalogue(event);
      events.push(event);
      return Promise.resolve();
    },
  };
  const address = { host: '127.0.0.1', port: 1 };
  const peer = { remoteAddress: address, localAddress: address, socketAddress: address };
  const context = {
    world,
    sink,
    audit: new NodeAudit({ outbox, world, sink, hostId: 'h', nodename: 'n', address: () => '127.0.0.1:1' }),
    accounts: {
      // eslint-disable-next-line @typescript-eslint/require-await -- as above
      ttyGroup: async () => {
        step('terminal group');
        return 5;
      },
    },
    libc: { status: 'loaded', libc: {} },
    loginDefs: { umask: '022', paths: { user: '/bin', superuser: '/bin' } },
    hostId: 'h',
    clusterName: 'c',
    acceptsVariable: () => true,
    permitUserEnvironment: true,
    webProxyAddress: () => 'p:3080',
    diskTrouble: () => undefined,
    recordings: noRecordings,
    shared: new SharedSessions(),
    roleNames: () => [],
    labels: () => ({}),
    connection: { permits: { pty: true } },
    nameSession: () => ({ id: world.uuid() }),
    subject: {
      username: 'ann',
      login: 'joe',
      peer,
      requestId: 'r',
      mayEnterOnFullDisk: () => true,
      recordSession: () => 'usual',
    },
    left,
    mayLendAgent: () => true,
    agent: {
      // eslint-disable-next-line @typescript-eslint/require-await -- as above
      lend: async () => {
        step('agent');
        return '/tmp/agent';
      },
    },
    onActivity: () => undefined,
    idleMs: () => 0,
    liveSessions: noLists,
  } as unknown as SessionContext;
  let ask: (request: SessionRequest) => void = () => undefined;
  const one = new Session(context, {
    accept: (onRequest: typeof ask) => {
      ask = onRequest;
      return channel;
    },
  } as unknown as SessionOpen);
  const size = { columns: 80, rows: 24, widthPixels: 0, heightPixels: 0 };
  const common = { accept: () => undefined, reject: () => undefined };
  ask({ type: 'pty', term: 'xterm', modes: new Map<number, number>(), size, ...common });
  ask({ type: 'agent-forwarding', ...common });
  ask({ type: 'exec', command: 'true', ...common });
  await one.ended;
  return { ...seen, names: events.map(({ event }) => event) };
}

const kinds: Readonly<Record<string, () => unknown>> = {
  'a code of ours': () => new CodedError('unavailable', 'it was said why'),
  'a full disk': () =>
    Object.assign(new Error("ENOSPC: no space left on device, mkdtemp '/tmp/x'"), {
      code: 'ENOSPC',
      syscall: 'mkdtemp',
    }),
  'a bug': () => new TypeError('x is not a function'),
};
const steps: readonly Step[] = [...side, ...needed];
/** Each step alone, each two together, all of them; in every kind. */
const cases = Object.keys(kinds).flatMap((kind) => [
  ...steps.flatMap((one, i) => steps.slice(i).map((other) => [kind, [...new Set([one, other])]] as const)),
  [kind, side] as const,
  [kind, steps] as const,
]);

const isSide = (name: Step): boolean => (side as readonly Step[]).includes(name);

describe('a session whose start meets a fault', () => {
  it('has no fault without one', async () => {
    expect(await session()).toMatchObject({ stdout: 'ran', stderr: '', exit: { status: 'exited', code: 0 } });
  });
  it('starts nothing when its connection is lost while it waits for its turn, and ends on record', async () => {
    const seen = await session(AbortSignal.abort());
    expect(seen.names).toEqual(['session.start', 'exec', 'session.end', 'session.data']);
    expect(seen.stdout).toBe('');
    expect(events[1]).toMatchObject({ exitCode: '255', code: 'T3002E' });
  });
  it.each(cases)('%s at %j: it ends on record, and the person is told', async (kind, failing) => {
    for (const name of failing) faults.set(name, () => kinds[kind]?.());
    const seen = await session();
    expect(seen.names).toEqual(['session.start', 'exec', 'session.end', 'session.data']);
    expect(seen.stderr).not.toBe('');
    if (kind === 'a bug' && !failing.every((name) => name === 'terminal owner'))
      expect(seen.stderr).toMatch(/an internal error, which the log of the server has/);
    expect(seen.stderr).not.toMatch(/TypeError|at .*:\d+/);
    if (failing.every(isSide)) {
      expect(seen).toMatchObject({ stdout: 'ran', exit: { status: 'exited', code: 0 } });
      expect(seen.stderr.trimEnd().split('\r\n')).toHaveLength(failing.length);
    } else {
      expect(seen.exit).toEqual({ status: 'exited', code: 255 });
      expect(events[1]).toMatchObject({ exitCode: '255', code: 'T3002E' });
    }
  });
});
