import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { DoneUnheard } from '../../../api/done-unheard.ts';
import type { AuthorityRotation } from '../../../api/operations/authority.ts';
import { CodedError } from '../../../base/errors.ts';
import { realWorld } from '../../../base/world.ts';
import type { RotationPhase } from '../../../domain/rotation.ts';
import { cliIo } from '../../cli-io.ts';
import { ExitStatus } from '../../errors.ts';
import type { RotateRequest, StepOutcome, WantedStep } from './rotate-options.ts';
import { takeStep } from './take-step.ts';
import { laggingNode, rotationInInit } from './testing.ts';

type Request = Extract<RotateRequest, { status: 'step' }>;

const wanted: WantedStep = {
  types: ['user'],
  phase: 'update_clients',
  mode: 'manual',
  gracePeriodMs: 30 * 3600 * 1000,
  force: false,
  dryRun: false,
  endSessions: false,
};
const requestOf = (step: Partial<WantedStep> = {}, waitMs = 30_000, isNamed = true): Request => ({
  status: 'step',
  step: { ...wanted, ...step },
  isNamed,
  waitMs,
});

const outcomeOf = (
  status: StepOutcome['status'],
  lagging: readonly string[] = [],
  [from, to]: readonly [RotationPhase, RotationPhase] = ['init', 'update_clients'],
): StepOutcome => ({
  status,
  steps: [{ type: 'user', from, to }],
  lagging: lagging.map((name) => laggingNode(name)),
  laggingCount: lagging.length,
});

const inPhase = (phase: RotationPhase, lagging: readonly string[] = []): AuthorityRotation => {
  const { underWay } = rotationInInit();
  const next = {
    init: 'update_clients',
    update_clients: 'update_servers',
    update_servers: 'standby',
  } as const;
  return rotationInInit({
    phase,
    underWay:
      phase === 'standby' || underWay === undefined
        ? undefined
        : { ...underWay, next: phase === 'rollback' ? 'standby' : next[phase] },
    acknowledged: 4 - lagging.length,
    lagging: lagging.map((name) => laggingNode(name)),
  });
};

/** Plays the auth server: what it returns call by call, the last one again and again. */
async function played(
  request: Request,
  outcomes: readonly (StepOutcome | CodedError)[],
  reports: readonly (AuthorityRotation | CodedError)[],
  { isTTY = false }: { readonly isTTY?: boolean } = {},
) {
  const streams = {
    stdout: new PassThrough(),
    stderr: Object.assign(new PassThrough(), { isTTY, columns: 60 }),
  };
  const io = cliIo(streams, { stdin: new PassThrough(), env: {}, world: realWorld });
  const taken: WantedStep[] = [];
  const [answers, seen] = [[...outcomes], [...reports]];
  let clock = 0;
  const status = await takeStep(request, {
    io,
    calls: {
      rotate: (step) => {
        taken.push(step);
        const answer = answers.length > 1 ? answers.shift() : answers[0];
        if (answer === undefined) return Promise.reject(new Error('not expected'));
        return answer instanceof CodedError ? Promise.reject(answer) : Promise.resolve(answer);
      },
      rotations: () => {
        const report = seen.length > 1 ? seen.shift() : seen[0];
        if (report === undefined) return Promise.reject(new Error('not expected'));
        return report instanceof CodedError ? Promise.reject(report) : Promise.resolve([report]);
      },
    },
    pause: (ms) => {
      clock += ms;
      return Promise.resolve();
    },
    monotonic: () => clock,
  }).catch((e: unknown) => {
    if (!(e instanceof ExitStatus)) throw e;
    return e;
  });
  const text = (stream: PassThrough): string => {
    const chunk = stream.read() as Buffer | null;
    return chunk === null ? '' : chunk.toString();
  };
  return { status, stdout: text(streams.stdout), stderr: text(streams.stderr), taken, clock };
}

describe('a step that is taken', () => {
  it('is reported in the words of 4.4, then who follows, then what is next', async () => {
    const ran = await played(
      requestOf(),
      [outcomeOf('done')],
      [inPhase('update_clients', ['a', 'b']), inPhase('update_clients', ['b']), inPhase('update_clients')],
    );
    expect(ran.status).toBe(0);
    expect(ran.stdout).toBe(
      'Updated rotation phase to "update_clients". To check status use \'tctl status\'\n',
    );
    expect(ran.stderr).toBe(`2 of 4 hosts have update_clients; waiting for a (Node), b (Node)
3 of 4 hosts have update_clients; waiting for b (Node)
4 of 4 hosts have update_clients
Next: tctl auth rotate --type=user --phase=update_servers
To go back: tctl auth rotate --type=user --phase=rollback
`);
  });

  it('is one that starts, when no phase was named', async () => {
    const ran = await played(
      requestOf({ phase: 'init', mode: 'auto' }, 0, false),
      [outcomeOf('done', [], ['standby', 'init'])],
      [inPhase('init', ['a'])],
    );
    expect(ran.stdout).toBe("Initiated certificate authority rotation. To check status use 'tctl status'\n");
    expect(ran.stderr).toContain("1 did not report it within 0s: 'tctl auth rotate --status' names them");
  });

  it('waits for those who follow no longer than it was told, and has not failed then', async () => {
    const ran = await played(requestOf({}, 3_000), [outcomeOf('done')], [inPhase('update_clients', ['a'])]);
    expect([ran.status, ran.clock]).toEqual([0, 3_000]);
  });

  it('has not failed when it cannot be watched', async () => {
    const away = new CodedError('unavailable', 'no auth server answers');
    const ran = await played(requestOf(), [outcomeOf('done')], [inPhase('update_clients', ['a']), away]);
    expect(ran.status).toBe(0);
    expect(ran.stderr).toContain(
      'The step was taken; how hosts follow could not be read: no auth server answers\n',
    );
  });

  it('is reported as taken where its answer was lost and the log says that it was', async () => {
    const lost = new DoneUnheard('the connection broke; it was done (event 7 of the log)');
    const ran = await played(
      requestOf(),
      [lost],
      [inPhase('update_clients', ['a']), inPhase('update_clients')],
    );
    expect(ran.status).toBe(0);
    expect(ran.taken).toHaveLength(1);
    expect(ran.stdout).toContain('Updated rotation phase to "update_clients"');
    expect(ran.stderr).toMatch(/^the connection broke; it was done \(event 7 of the log\)\n/);
    expect(ran.stderr).toContain('4 of 4 hosts have update_clients');
    const away = new CodedError('unavailable', 'broke; whether it was done is not known');
    await expect(played(requestOf(), [away], [inPhase('init')])).rejects.toBe(away);
  });

  it('does not wait for a phase that is over', async () => {
    const ran = await played(requestOf(), [outcomeOf('done')], [inPhase('update_servers', ['a'])]);
    expect([ran.status, ran.clock, ran.stderr]).toEqual([0, 0, '']);
  });

  it('names those whom it leaves behind, and what becomes of them', async () => {
    const ran = await played(
      requestOf({ phase: 'standby', force: true }),
      [outcomeOf('done', ['a'], ['update_servers', 'standby'])],
      [inPhase('standby')],
    );
    expect(ran.stderr).toMatch(
      /^WARNING: 1 host is left behind: their certificates are of a key that is withdrawn, everybody refuses them, and they have to join again with a token:\nNodename .*\n-+ .*\na +Node/,
    );
  });

  it('without a grace period lists what everybody has to do, and waits for nobody', async () => {
    const ran = await played(
      requestOf({ phase: 'init', gracePeriodMs: 0, force: true, types: ['user', 'host'] }, 30_000, false),
      [outcomeOf('done', [], ['standby', 'standby'])],
      [],
    );
    expect(ran.stderr).toContain('- people log in again (tsh login)');
    expect(ran.stderr).toContain('- each proxy and node joins again: set a token');
  });
});

describe('a step for which hosts are waited', () => {
  it('is taken as soon as the last of them reports the phase', async () => {
    const ran = await played(
      requestOf(),
      [outcomeOf('blocked', ['a']), outcomeOf('done')],
      [inPhase('init', ['a']), inPhase('init', ['a']), inPhase('init'), inPhase('update_clients')],
    );
    expect([ran.status, ran.taken.length, ran.clock]).toEqual([0, 2, 1000]);
    expect(ran.stdout).toContain('Updated rotation phase');
    expect(ran.stderr).toMatch(/^3 of 4 hosts have init; waiting for a \(Node\)\n4 of 4 hosts have init\n/);
  });

  it('is not taken when the time is over: who lacks it, and what to do, and status 1', async () => {
    const ran = await played(requestOf({}, 2_000), [outcomeOf('blocked', ['a'])], [inPhase('init', ['a'])]);
    expect(ran.status).toMatchObject({ status: 1 });
    expect((ran.status as ExitStatus).message)
      .toBe(`1 host still lacks phase init after 2s: nothing was changed
See why on each: "systemctl status teleport" there, and its log; "tctl auth rotate --status" shows them again.
A host that is stopped or removed ("tctl nodes rm") is waited for no longer; --wait=10m waits longer.
--force leaves them behind: until they have caught up they may refuse others, and others them; they catch up by themselves until standby.`);
    expect(ran.stderr).toMatch(/\na +Node 1\.0\.0 /);
    expect([ran.stdout, ran.clock]).toEqual(['', 2_000]);
  });

  it('is refused by the auth server when somebody else took it meanwhile', async () => {
    const text = 'can only switch to phase update_clients from init, current phase is update_clients';
    const outcomes = [outcomeOf('blocked', ['a']), new CodedError('bad_request', text)];
    await expect(played(requestOf(), outcomes, [inPhase('update_clients', ['a'])])).rejects.toThrow(text);
  });

  it('shows them in one line that is written over, on a terminal', async () => {
    const ran = await played(
      requestOf({}, 1_000),
      [outcomeOf('blocked', ['a', 'b'])],
      [inPhase('init', ['a'.repeat(80), 'b']), inPhase('init', ['b'])],
      { isTTY: true },
    );
    const [first = '', second = ''] = ran.stderr.split('\n')[0]?.split('\r\u001b[2K').slice(1) ?? [];
    expect(first).toHaveLength(59);
    expect(second).toBe('3 of 4 hosts have init; waiting for b (Node)');
  });
});

describe('a step that is only described', () => {
  it('prints what it would do and for whom it would wait, and takes none', async () => {
    const ran = await played(requestOf({ dryRun: true }), [outcomeOf('dry_run', ['a'])], []);
    expect(ran.status).toBe(0);
    expect(ran.stdout).toMatch(
      /^Would take the user authority from init to update_clients: the new key signs, and machines show certificates of it when they call others\n1 host still lacks phase init and would have to be waited for:\nNodename [\s\S]*\nNothing was changed\n$/,
    );
  });

  it('tells the two ends of a rotation apart', async () => {
    const dry = requestOf({ dryRun: true, phase: 'standby' });
    const forth = await played(dry, [outcomeOf('dry_run', [], ['update_servers', 'standby'])], []);
    expect(forth.stdout).toContain('the old key is withdrawn');
    const back = await played(dry, [outcomeOf('dry_run', [], ['rollback', 'standby'])], []);
    expect(back.stdout).toContain('the new key is withdrawn, the old one stays');
  });

  it('reports that no grace period takes --force', async () => {
    const dry = requestOf({ dryRun: true, phase: 'init', gracePeriodMs: 0 });
    const ran = await played(dry, [outcomeOf('dry_run', ['a'], ['standby', 'standby'])], []);
    expect(ran.stdout).toContain('Would replace every key of the user authority at once');
    expect(ran.stdout).toContain('It would be refused without --force\n');
    expect(ran.stdout).toContain('1 host still lacks phase standby and would be left behind');
  });
});
