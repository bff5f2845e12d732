import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { linkIn } from '../harness/cluster.ts';
import { acceptLink, logIn } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { type RecordedCluster, recordedCluster } from './recorded-cluster.ts';

/** A program in a terminal, as somebody sees it. */
interface InTerminal {
  readonly child: ChildProcess;
  text: string;
  readonly exit: Promise<number | null>;
}

let bench: RecordedCluster;
const closers: (() => void)[] = [];
const role = (name: string, allow: object, deny: object = {}): string =>
  JSON.stringify({ kind: 'role', version: 'v3', metadata: { name }, spec: { allow, deny } });

beforeAll(async () => {
  bench = await recordedCluster();
  const { cluster, login } = bench;
  const file = join(cluster.dir, 'roles.yaml');
  const supervises = [{ name: 'all', roles: ['admin'], modes: ['observer', 'moderator'] }];
  const roles = [
    role('supervisor', {
      logins: ['nobody-here'],
      node_labels: { never: 'there' },
      join_sessions: supervises,
    }),
    role('never', { logins: [login] }, { join_sessions: [{ roles: ['*'], modes: ['peer', 'observer'] }] }),
  ];
  writeFileSync(file, roles.join('\n---\n'));
  expect(await cluster.tctl('create', '-f', file)).toMatchObject({ code: 0 });
  for (const [name, given] of [
    ['sue', 'supervisor'],
    ['ned', 'never'],
  ] as const) {
    const added = await cluster.tctl('users', 'add', name, login, `--roles=${given}`);
    await acceptLink(cluster, linkIn(added.stdout));
    await logIn(cluster, name);
  }
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});
afterAll(() => bench.close());

function inTerminal(person: string, command: string): InTerminal {
  const { cluster } = bench;
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    ...{ env: cluster.env(person), cwd: cluster.dir },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  closers.push(() => void child.kill('SIGKILL'));
  const exit = new Promise<number | null>((done) => child.once('close', done));
  const one: InTerminal = { child, text: '', exit };
  child.stdout.on('data', (data: Buffer) => (one.text += data.toString()));
  return one;
}
const shows = (one: InTerminal, text: string): Promise<unknown> =>
  until(`${JSON.stringify(text)} in ${JSON.stringify(one.text)}`, () =>
    one.text.includes(text) ? true : undefined,
  );
const type = (one: InTerminal, text: string): void => void one.child.stdin?.write(text);
const joins = (person: string, sid: string, mode?: string): InTerminal =>
  inTerminal(person, `${resolve('bin/tsh')} join ${mode === undefined ? '' : `--mode=${mode} `}${sid}`);

/** A session of joe that prints what it reads, and its id. */
async function opened(marker: string): Promise<{ owner: InTerminal; sid: string }> {
  const command = `echo begun-${marker}; while read -r line; do echo "read: $line"; done`;
  const owner = inTerminal('joe', `ssh -tt -F ${bench.config} ${bench.host} '${command}'`);
  await shows(owner, `begun-${marker}`);
  const start = await until('its start', async () =>
    (await bench.eventsOf('session.start')).find((one) => String(one['command']).includes(`begun-${marker}`)),
  );
  const sid = start.sid ?? '';
  await until('it to be listed', async () =>
    (await bench.cluster.tctl('sessions', 'ls')).stdout.includes(sid) ? true : undefined,
  );
  return { owner, sid };
}
const ofSession = async (sid: string): Promise<string[]> =>
  (await bench.eventsOf('session.join', 'session.leave', 'session.end'))
    .filter((one) => one.sid === sid)
    .map((one) => [one.event, one.code, one.user, one['mode']].join(' '));

describe('a session', () => {
  it('is joined by its owner as a peer, who types into it, and is on record and told', async () => {
    const { owner, sid } = await opened('own');
    const peer = joins('joe', sid);
    await shows(peer, 'begun-own');
    await shows(owner, 'joe joined this session as peer.');
    type(peer, 'from the peer\r');
    await shows(owner, 'read: from the peer');
    await shows(peer, 'read: from');
    const listed = await until('the list to have the peer', async () => {
      const { stdout } = await bench.cluster.tctl('sessions', 'ls');
      return stdout.includes('joe (peer)') ? stdout : undefined;
    });
    expect(listed).toMatch(/From +Joined by/);
    type(peer, '\r~.');
    await peer.exit;
    await shows(owner, 'joe left this session.');
    type(owner, '\x04');
    expect(await owner.exit).toBe(0);
    await bench.stored(sid);
    expect((await ofSession(sid)).sort()).toEqual([
      'session.end T2004I joe ',
      'session.join T2001I joe peer',
      'session.leave T2003I joe peer',
    ]);
    const frames = await bench.framesIn(sid);
    expect(frames.filter(({ type: kind }) => kind === 'joined' || kind === 'left')).toMatchObject([
      { type: 'joined', who: { user: 'joe', mode: 'peer' } },
      { type: 'left', who: { user: 'joe', mode: 'peer' } },
    ]);
  });

  it('is seen and ended by a supervisor, who has no login there', async () => {
    const { owner, sid } = await opened('supervised');
    const refused = joins('sue', sid, 'peer');
    expect(await refused.exit).not.toBe(0);
    expect(refused.text).toContain('is not found on this node, or you may not join it in this mode');
    const sue = joins('sue', sid, 'moderator');
    await shows(sue, 'begun-supervised');
    await shows(owner, 'sue joined this session as moderator.');
    type(owner, 'seen\r');
    await shows(sue, 'read: seen');
    type(sue, 'she says no word\r');
    type(sue, 't');
    await owner.exit;
    expect(owner.text).toContain('sue, who moderates this session, has ended it');
    await sue.exit;
    const end = await until('its end', async () =>
      (await bench.eventsOf('session.end')).find((one) => one.sid === sid),
    );
    expect(end['participants']).toEqual(['joe', 'sue']);
    expect(await bench.outputOf(sid)).not.toContain('she says');
    const [failure] = (await bench.eventsOf('session.join')).filter(({ code }) => code === 'T2001W');
    expect(failure).toMatchObject({ user: 'sue', session: sid, mode: 'peer', success: false });
  });

  it('is joined by stock ssh, and not by somebody whom a role denies it', async () => {
    const { owner, sid } = await opened('stock');
    const by = (person: string): InTerminal =>
      inTerminal(
        person,
        `ssh -tt -F ${bench.config} -oSetEnv="TELEPORT_SESSION=${sid} TELEPORT_JOIN_MODE=observer" ${bench.host}`,
      );
    const watching = by('joe');
    await shows(watching, 'begun-stock');
    type(watching, 'nobody reads this\r');
    type(owner, 'the owner\r');
    await shows(watching, 'read: the');
    type(watching, '\x03');
    expect(await watching.exit).toBe(0);
    const ned = joins('ned', sid, 'observer');
    expect(await ned.exit).not.toBe(0);
    expect(ned.text).toContain('is not found on this node, or you may not join it in this mode');
    expect(owner.text).not.toContain('ned joined');
    type(owner, '\x04');
    await owner.exit;
    expect(await bench.outputOf(sid)).not.toContain('nobody reads');
  });

  it('is left by who may take part no longer', async () => {
    const { owner, sid } = await opened('withdrawn');
    const sue = joins('sue', sid, 'observer');
    await shows(sue, 'begun-withdrawn');
    await bench.cluster.tctl('lock', '--role=supervisor', '--message=the shift is over');
    await sue.exit;
    await shows(owner, 'sue left this session.');
    type(owner, '\x04');
    await owner.exit;
  });
});

describe('what cannot be joined', () => {
  it('is said', async () => {
    const { cluster } = bench;
    const { stderr } = await cluster.tsh('joe', ['join', 'abc']);
    expect(stderr).toContain("'abc' is not a valid session ID (must be GUID)");
    const unknown = '0b0a5b1e-3f2b-4c5d-8e9f-0000000000ff';
    const gone = joins('joe', unknown);
    expect(await gone.exit).toBe(1);
    expect(gone.text).toContain(`session '${unknown}' not found or it has ended`);
    const { code, stderr: piped } = await cluster.tsh('joe', ['join', unknown]);
    expect([code, piped]).toEqual([
      1,
      expect.stringContaining('a session is joined in a terminal') as string,
    ]);
    const mode = await cluster.tsh('joe', ['join', '--mode=owner', unknown]);
    expect(mode.stderr).toMatch(/observer/);
  });

  it('is anything but sessions, under the login for that', async () => {
    const { config } = bench;
    const asked = await bench.sh(`ssh -F ${config} -l=-teleport-internal-join node1.example id`);
    const named = await bench.sh(`ssh -F ${config} -oUser=-teleport-internal-join node1.example id`);
    for (const { code, stdout } of [asked, named]) expect([code === 0, stdout]).toEqual([false, '']);
  });
});
