import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { times } from '../../backends/conformance/trial.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { createToken } from '../../src/api/operations/token.ts';
import { listUsers } from '../../src/api/operations/user.ts';
import { messageOf } from '../../src/base/errors.ts';
import { formatHostPort, type HostPort } from '../../src/base/service.ts';
import { linkIn } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { leaderOf } from '../harness/etcd-server.ts';
import { acceptLink, logIn, password } from '../harness/people.ts';
import { login, resume, startThreeAuths, type ThreeAuths } from './three-auths.ts';

/**
 * What callers may notice of one server that is cut off, stopped or gone, or of one mute member of the store.
 */
const barMs = 3_000;
const observedMs = 8_000;
/** Between two of one kind, or as long as one takes: they would else be what slows the machine down. */
const leastPauseMs = 150;
/** A login, and a program that does nothing, on a machine that has little else to do. */
const usual = { loginMs: 400, programMs: 20 };
/** Slower than this it says nothing. */
const slowest = 4;

let all: ThreeAuths;
beforeAll(async () => {
  all = await startThreeAuths();
}, 300_000);
afterAll(() => all.close(), 60_000);

interface Attempt {
  readonly beganMs: number;
  readonly endedMs: number;
  readonly failure: string | undefined;
}

interface Repeated {
  /** Times since the fault. */
  readonly attempts: Attempt[];
  readonly done: Promise<void>;
}

/** Does it again and again until `over`, one after the other. */
function repeated(act: () => Promise<unknown>, since: () => number, over: () => boolean): Repeated {
  const attempts: Attempt[] = [];
  return { attempts, done: repeat(attempts, act, since, over) };
}

async function repeat(
  attempts: Attempt[],
  act: () => Promise<unknown>,
  since: () => number,
  over: () => boolean,
): Promise<void> {
  while (!over()) {
    const at = performance.now();
    const failure = await act().then(
      () => undefined,
      (e: unknown) => messageOf(e),
    );
    const endedMs = since();
    attempts.push({ beganMs: endedMs - (performance.now() - at), endedMs, failure });
    await delay(Math.max(performance.now() - at, leastPauseMs));
  }
}

const must = async (ran: Promise<Ran>): Promise<void> => {
  const { code, stdout, stderr } = await ran;
  if (code !== 0) throw new Error(`exit ${String(code)}: ${stdout}${stderr}`);
};

/** What people and machines do meanwhile. The real programs take turns, since they take the processor. */
function doings(writer: AuthClient, reader: AuthClient): Record<string, () => Promise<unknown>> {
  let n = 0;
  const programs = [
    () => must(all.fleet.tctl((all.auths[n % 3] ?? all.auths[0])?.machine ?? all.node, 'users', 'ls')),
    () => must(all.people.tsh('joe', ['ls'])),
    () => must(all.people.tsh('joe', ['ssh', `${login}@node1`, 'true'])),
  ];
  return {
    write: () => writer.call(createToken, { roles: ['Node'], ttlSeconds: 60 }),
    read: () => reader.call(listUsers, {}),
    login: () => all.logIn('joe'),
    join: () => all.join(),
    true: () => run('true', []),
    programs: () => (programs[n++ % programs.length] ?? (() => Promise.resolve()))(),
  };
}

const medianOf = (ms: readonly number[]): number => ms.toSorted((a, b) => a - b)[ms.length >> 1] ?? 0;

interface Figures {
  readonly medianMs: number;
  readonly longestMs: number;
  readonly lastFailureMs: number | undefined;
  readonly failures: readonly string[];
  readonly attempts: number;
}

function figuresOf(attempts: readonly Attempt[]): Figures {
  const failed = attempts.filter(({ failure }) => failure !== undefined);
  return {
    medianMs: medianOf(attempts.map(({ beganMs, endedMs }) => endedMs - beganMs)),
    longestMs: Math.max(...attempts.map(({ beganMs, endedMs }) => endedMs - beganMs)),
    lastFailureMs: failed.at(-1)?.endedMs,
    failures: failed.map(({ endedMs, failure }) => `${Math.round(endedMs)} ms: ${failure ?? ''}`),
    attempts: attempts.length,
  };
}

/** How much slower this machine is now than one that is idle. */
async function slowness(): Promise<number> {
  const took: number[] = [];
  for (let n = 0; n < 3; n++) {
    const began = performance.now();
    await all.logIn('joe');
    took.push(performance.now() - began);
  }
  return Math.max(1, medianOf(took) / usual.loginMs);
}

/** A client that is connected, to the auth server at this address where one is named. */
async function adminAt(address?: HostPort): Promise<AuthClient> {
  const wanted = address && formatHostPort(address);
  return until('a client of that server', async () => {
    const client = all.admin();
    await client.call(listUsers, {});
    return wanted === undefined || client.servers()[0] === wanted ? client : undefined;
  });
}

/** @param victim those who call without a program hang on this server. */
async function during(name: string, fault: () => Promise<void> | void, victim?: HostPort): Promise<void> {
  const before = await slowness();
  let began = Infinity;
  const since = (): number => performance.now() - began;
  const over = (): boolean => since() > observedMs;
  const acts = Object.entries(doings(await adminAt(victim), await adminAt(victim)));
  const running = acts.map(([what, act]) => [what, repeated(act, since, over)] as const);
  await until(
    'all to be doing it',
    () => running.every(([, { attempts }]) => attempts.length > 0) || undefined,
  );
  began = performance.now();
  await fault();
  const results = await Promise.all(
    running.map(async ([what, { attempts, done }]) => {
      await done;
      return [what, figuresOf(attempts.filter(({ endedMs }) => endedMs > 0))] as const;
    }),
  );
  // That has nothing to do with the cluster: it says how busy the machine is meanwhile.
  const program = results.find(([what]) => what === 'true')?.[1].medianMs ?? 0;
  const factor = Math.min(slowest, Math.max(before, program / usual.programMs));
  const said = results.map(
    ([what, { longestMs, lastFailureMs, attempts }]) =>
      `${what}: ${attempts} times, longest ${Math.round(longestMs)} ms` +
      (lastFailureMs === undefined ? '' : `, last failure ${Math.round(lastFailureMs)} ms after`),
  );
  console.log(`${name} (machine ${factor.toFixed(1)} times as slow as usual): ${said.join('; ')}`);
  const late = results.flatMap(([what, { failures, lastFailureMs }]) =>
    (lastFailureMs ?? 0) > barMs * factor ? failures.map((one) => `${what}: ${one}`) : [],
  );
  expect(late).toEqual([]);
  const writes = results.find(([what]) => what === 'write')?.[1];
  expect(writes?.longestMs).toBeLessThan(barMs * factor);
}

/**
 * How long after a user was deleted through an auth server that serves somebody could still begin, with
 * success, to log in as that user on the node: how long a program takes is not counted. 0: nobody could.
 */
async function letInAfterDeletion(name: string, through: number): Promise<number> {
  const machine = all.auths[through]?.machine ?? all.node;
  await must(all.fleet.tctl(machine, 'users', 'rm', name));
  const began = performance.now();
  let letInMs = 0;
  await until('the node to refuse', async () => {
    const beginsMs = performance.now() - began;
    if ((await all.people.tsh(name, ['ssh', `${login}@node1`, 'true'])).code !== 0) return true;
    letInMs = beginsMs;
    return undefined;
  });
  return letInMs;
}

async function addUser(name: string): Promise<void> {
  const added = await all.people.tctl('users', 'add', name, login);
  await acceptLink(all.people, linkIn(added.stdout), password);
  await logIn(all.people, name);
}

const allReady = (): Promise<unknown> =>
  Promise.all(
    [...all.auths.map(({ machine }) => machine), all.proxy, all.node].map((machine) =>
      until(`${machine.name} to be ready`, async () => (await machine.readyz())?.code === 200 || undefined),
    ),
  );

/** The first of the list, and one of the others; each of them in a long run. */
const victims = times(1) > 1 ? [0, 1, 2] : [0, 1];

describe.each(victims)('auth server %i of three', (n) => {
  const victim = (): ThreeAuths['auths'][number] => {
    const found = all.auths[n];
    if (found === undefined) throw new Error('no such server');
    return found;
  };

  it('cut off from its store takes nobody with it', { timeout: 240_000 }, async () => {
    await allReady();
    await addUser(`cut${n}`);
    try {
      const cutOff = (): void => {
        victim().cutOff();
      };
      await during(`auth${n + 1} cut off`, cutOff, victim().address);
      const ready = await victim().machine.readyz();
      expect(ready).toMatchObject({ code: 503 });
      expect(ready?.body).toContain('store');
      const ms = await letInAfterDeletion(`cut${n}`, (n + 1) % 3);
      console.log(`a user deleted elsewhere was let in until ${Math.round(ms)} ms after`);
      expect(ms).toBeLessThan(barMs * (await slowness()));
      const late = await all.anotherNode(`late${n}`);
      const began = performance.now();
      await late.start();
      console.log(`a new node is ready after ${Math.round(performance.now() - began)} ms`);
      await late.stop();
    } finally {
      victim().heal();
    }
  });

  it('stopped takes nobody with it', { timeout: 240_000 }, async () => {
    await allReady();
    try {
      const stop = (): void => {
        process.kill(victim().machine.pid(), 'SIGSTOP');
      };
      await during(`auth${n + 1} stopped`, stop, victim().address);
    } finally {
      resume(victim().machine);
    }
  });
});

describe('one auth server of three', () => {
  it('killed takes nobody with it', { timeout: 240_000 }, async () => {
    await allReady();
    const [, second] = all.auths;
    const kill = async (): Promise<void> => {
      await second?.machine.stop('SIGKILL');
    };
    await during('auth2 killed', kill, second?.address);
    await second?.machine.start();
  });
});

describe('one member of the store that is mute', () => {
  it.each(['leads', 'follows'] as const)('and %s stops nobody', { timeout: 240_000 }, async (how) => {
    await allReady();
    const leader = await leaderOf(all.etcd);
    const member = all.etcd.members[how === 'leads' ? leader : (leader + 1) % 3];
    if (member === undefined) throw new Error('no such member');
    try {
      await during(`the member of etcd that ${how} mute`, () => {
        process.kill(member.pid(), 'SIGSTOP');
      });
    } finally {
      process.kill(member.pid(), 'SIGCONT');
    }
  });
});

describe('all auth servers cut off', () => {
  it(
    'leave what the proxy knows: tsh lists that and says how old it is, and sessions go on',
    { timeout: 240_000 },
    async () => {
      await allReady();
      try {
        for (const one of all.auths) one.cutOff();
        await until('all to say so', async () => {
          const ready = await Promise.all(all.auths.map(({ machine }) => machine.readyz()));
          return ready.every((one) => one?.code === 503) || undefined;
        });
        const listed = await all.people.tsh('joe', ['ls']);
        expect(listed.stdout).toContain('node1');
        expect(listed.stderr).toMatch(
          /^no auth server can be asked now .*: these are the nodes as the proxy knew them \d+ s ago$/m,
        );
        await must(all.people.tsh('joe', ['ssh', `${login}@node1`, 'true']));
        const began = performance.now();
        const refused = await all.fleet.tctl(all.auths[0]?.machine ?? all.node, 'users', 'add', 'late');
        console.log(`tctl gives up after ${Math.round(performance.now() - began)} ms: ${refused.stderr}`);
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toContain('has not heard from its store');
        const status = await all.fleet.tctl(all.auths[0]?.machine ?? all.node, 'status');
        expect(status.stdout).toContain('has not heard from its store');
        expect(status.stdout).toContain('peers_answering=0 peers_serving=0');
      } finally {
        for (const one of all.auths) one.heal();
      }
      await allReady();
    },
  );
});
